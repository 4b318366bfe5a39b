/**
 * For how long writes will be refused, part by part: sums of what was measured for the plan and in a rehearsal. What nobody
 * measured is marked as assumed, and assumed on the slow side: who waits for a freeze would rather wait less than was said.
 */
import type { ParallelPhase } from '../machines/parallel/phases.ts';
import type { RegistryCensus, RegistryCounts } from '../ports/registry.ts';
import type { RehearsedFigures } from './rehearsal.ts';

export interface FreezeEstimate {
  /** Milliseconds for which writes will be refused. */
  readonly totalMs: number;
  /** delta: most was imported before the freeze, and only what came since is within it. */
  readonly way: 'whole' | 'delta';
  readonly parts: readonly FreezePart[];
}

export interface FreezePart {
  readonly what: string;
  /** Whose durations it foretells. */
  readonly phases: readonly ParallelPhase[];
  readonly ms: number;
  readonly basis: 'measured' | 'rehearsed' | 'assumed';
}

export interface FreezeFacts {
  /** Of 2.x as it is walked within the freeze; null: nobody walked it, as the archive was given. */
  readonly walk: Pick<RegistryCensus, 'requests' | 'tookMs'> | null;
  /** Null: the archive was given. */
  readonly exportMs: number | null;
  /** Of what no archive holds, read from 2.x. */
  readonly besidesMs: number;
  readonly counts: RegistryCounts;
  readonly balancers: number;
  /** Of a rehearsal; null: nobody measured it. */
  readonly rehearsed: RehearsedFigures | null;
  readonly bulk: boolean;
}

/**
 * Milliseconds where nobody measured: figures of 2.6.13 and 3.3.3 with H2 in memory, first compiler only, on two busy cores
 * (bench/README.md), and rounded up.
 */
const assumed = {
  /** Of an import, a version; and what it takes at least. */
  importMs: 3,
  importAtLeastMs: 2500,
  /** Of one request to 2.x of several at once. */
  requestMs: 1.5,
  /** How much longer a request to 3.x takes than one to 2.x: that one has run for weeks, this one has just started. */
  newcomer: 2,
  /** An export, a version. */
  exportMs: 1,
  /** Of versions: what comes between the base and the freeze. */
  deltaShare: 0.01,
  /** Shifting a balancer, draining and its proof, by a balancer. */
  shiftMs: 500,
  /** Look-ups as clients make them, by a balancer. */
  probesMs: 300,
} as const;

export function estimateFreeze(facts: FreezeFacts): FreezeEstimate {
  const { walk, exportMs: measuredExportMs, besidesMs, counts, balancers, rehearsed, bulk } = facts;
  const basis = rehearsed === null ? 'assumed' : 'rehearsed';
  const exportMs = measuredExportMs ?? counts.version * assumed.exportMs;
  const walkMs = walk?.tookMs ?? requestsOf(counts, 2) * assumed.requestMs;
  const { importMs, compareMs } =
    rehearsed === null ? importAndCompare(facts, exportMs) : inProportion(rehearsed, counts);
  const { shiftMs, probesMs } = assumed;
  const parts: readonly FreezePart[] = [
    { what: 'refuse writes, drain and prove it', phases: ['freeze'], ms: balancers * shiftMs, basis: 'assumed' },
    {
      what: 'walk 2.x for the baseline',
      phases: ['baseline'],
      ms: Math.round(walkMs) + balancers * probesMs,
      basis: walk === null ? 'assumed' : 'measured',
    },
    {
      what: 'export, and hold it against that walk',
      phases: ['export'],
      // Both at once; afterwards the archive is foreseen, which takes no longer than reading it did.
      ms: Math.round(Math.max(exportMs, besidesMs) + exportMs / 2),
      basis: measuredExportMs === null ? 'assumed' : 'measured',
    },
    { what: bulk ? 'import what came since' : 'import', phases: ['import'], ms: Math.round(importMs), basis },
    {
      what: `${bulk ? 'export 3.x' : 'read 3.x back'} and compare, and export 2.x again`,
      phases: ['compare'],
      ms: Math.round(compareMs),
      basis,
    },
    {
      what: 'lead reads and then writes to 3.x',
      phases: ['read-on-3', 'switch'],
      ms: balancers * (2 * shiftMs + probesMs),
      basis: 'assumed',
    },
  ];
  return { totalMs: parts.reduce((sum, { ms }) => sum + ms, 0), way: bulk ? 'delta' : 'whole', parts };
}

interface ImportAndCompare {
  readonly importMs: number;
  readonly compareMs: number;
}

/** A rehearsal of an older export is one of fewer versions. */
function inProportion({ importMs, compareMs, versions }: RehearsedFigures, counts: RegistryCounts): ImportAndCompare {
  const share = counts.version / Math.max(1, versions);
  return { importMs: importMs * share, compareMs: compareMs * share };
}

function importAndCompare({ walk, counts, bulk }: FreezeFacts, exportMs: number): ImportAndCompare {
  const requestMs = walk === null ? assumed.requestMs : walk.tookMs / Math.max(1, walk.requests);
  const ofThree = requestMs * assumed.newcomer;
  // Archives are read for either, which an export includes.
  const { version, artifact } = counts;
  if (!bulk) {
    const readBackMs = 2 * exportMs + requestsOf(counts, 3) * ofThree;
    return {
      importMs: assumed.importAtLeastMs + version * assumed.importMs,
      compareMs: besideEachOther(readBackMs, exportMs),
    };
  }
  const brought = Math.ceil(version * assumed.deltaShare);
  const importMs = assumed.importAtLeastMs + exportMs + brought * assumed.importMs;
  // Each in an artifact of its own, which is read whole, and a content that is new.
  const touched = Math.min(brought, artifact) * (5 + version / Math.max(1, artifact)) + 2 * brought;
  return { importMs, compareMs: besideEachOther(2 * exportMs + touched * ofThree, exportMs) };
}

/** On machines of their own the longer one alone counts, on one both do. */
function besideEachOther(one: number, other: number): number {
  return Math.max(one, other) + Math.min(one, other) / 2;
}

/** Of a walk whose contents are known. */
function requestsOf({ version, artifact, group }: RegistryCounts, release: 2 | 3): number {
  return release === 2 ? version + 2 * artifact + group : version + 5 * artifact + 2 * group;
}
