/**
 * What a migration costs where Amazon bills by use: state in DynamoDB, a DynamoDB table as source or target, functions that
 * copy. Worked out from the plan's own estimate and from prices that are data (prices.ts); whoever reads it sees both.
 *
 * It is what apply costs, verification included, when nothing goes wrong: no retries, no second attempt, no rollback.
 * What is stored, logs, and traffic out of a region or through a NAT are not in it. Pure.
 */
import type { StoreBilling } from '../model/billing.ts';
import { counted } from '../model/count.ts';
import type { Prices } from './prices.ts';

/** What the plan knows about the work. */
export interface CostedWork {
  /** The state is in DynamoDB. */
  readonly sharedState: boolean;
  readonly source: StoreBilling | null;
  readonly target: StoreBilling | null;
  /** Records that one reading of the source takes, with the bytes of keys and values. */
  readonly sourceRead: Volume;
  /** The same at the target, over all the times that it is read. */
  readonly targetRead: Volume;
  /** Records that are written or deleted, and the write units that their items take one by one. */
  readonly changes: Volume & { readonly itemUnits: number };
  /** Bytes of the records whose before-images go into the state. */
  readonly keptBytes: number;
  /** Changes that have a row in the plan: functions get them by way of the state. */
  readonly changesListed: number;
  readonly transactions: number;
  readonly chunks: number;
  readonly workers: number;
  /** Functions at once; each keeps to its share of the rate. */
  readonly functions: number;
  /** Keys a second; null: as fast as the stores go. */
  readonly ratePerSecond: number | null;
  /** How long the scan of the plan took. */
  readonly scanMs: number;
}

export interface Volume {
  readonly keys: number;
  readonly bytes: number;
}

export type CostedThing =
  'state writes' | 'state reads' | 'source reads' | 'target reads' | 'target writes' | 'functions' | 'state machine';

export interface CostRow {
  readonly what: CostedThing;
  readonly unit: 'write units' | 'read units' | 'GB-s' | 'transitions';
  readonly units: number;
  readonly dollars: number;
  /** For a million keys of the source, of the kind that this plan has met; null without any. */
  readonly dollarsPerMillionKeys: number | null;
  /**
   * always: part of any apply. configured, other: this way of writing, and the one that `writes` of the store could say.
   * functions: on top, if functions do the work; map: and if a Distributed Map shares it out among them.
   */
  readonly when: 'always' | 'configured' | 'other' | 'functions' | 'map';
  /** For people. */
  readonly detail: string;
}

export interface CostEstimate {
  /** By which it was worked out. */
  readonly prices: Prices;
  readonly rows: readonly CostRow[];
  /** Applied by machines, the configured way of writing. */
  readonly machines: CostSum;
  /** Applied by functions; null where the state is in no store that functions share. */
  readonly functions: CostSum | null;
}

export interface CostSum {
  readonly dollars: number;
  readonly dollarsPerMillionKeys: number | null;
}

/** Round enough that nobody takes it for more than it is. */
export const sampleTransactionMs = 10;

/** A unit of a strongly consistent read and of a write, in bytes (DynamoDB developer guide, "Read/write capacity"). */
const readUnitBytes = 4096;
export const writeUnitBytes = 1024;

/** Times that apply reads the source: it checks the plan, copies, and verifies. */
const sourceReads = 3;

/** State writes of a chunk: its part of the plan, its own item, claimed, done; and of a run: lock, attempt, phases, history. */
const writesOfChunk = 4;
const writesOfRun = 10;
const checkpointEveryMs = 4000;
const heartbeatEveryMs = 5000;
/** Reads of a run, its lists included, and of its watch on what others ask of it. */
const readsOfRun = 70;
const watchEveryMs = 2000;
/** Behind functions: a chunk's comparison is claimed and done; a submission, its answer, and the verification with its lock. */
const checksOfChunk = 2;
const writesOfSubmission = 12;
/** A row of a change as the state keeps it, compressed: its key and digest are what does not shrink. */
const rowBytes = 30;

/** A vCPU, and the share of an invocation that is spent on records. */
const functionGigabytes = 1.769;
const usefulShare = 0.9;
const invocationMs = 60_000;
/** Of an item of a Distributed Map: begun, worked, asked, done; for copying and for verifying. */
const transitionsOfItem = 4;
const transitionsOfRun = 6;
const itemsMax = 2000;

type PricedRow = Omit<CostRow, 'dollarsPerMillionKeys'>;

/** Null: nothing of it is billed by use. */
export function costOf(work: CostedWork, prices: Prices): CostEstimate | null {
  const { sharedState, source, target } = work;
  if (!sharedState && source === null && target === null) return null;
  const { keys } = work.sourceRead;
  const perMillionKeys = (dollars: number) => (keys === 0 ? null : (dollars * 1e6) / keys);
  const rows: readonly PricedRow[] = [
    ...(sharedState ? stateRows(work, prices) : []),
    ...(source === null ? [] : [readRow('source reads', work.sourceRead, source, sourceReads, prices)]),
    ...(target === null ? [] : targetRows(work, target, prices)),
    ...(sharedState ? functionRows(work, prices) : []),
  ];
  const sumOf = (...wanted: readonly CostRow['when'][]): CostSum => {
    const dollars = rows.reduce((sum, row) => (wanted.includes(row.when) ? sum + row.dollars : sum), 0);
    return { dollars, dollarsPerMillionKeys: perMillionKeys(dollars) };
  };
  return {
    prices,
    rows: rows.map((row) => ({ ...row, dollarsPerMillionKeys: perMillionKeys(row.dollars) })),
    machines: sumOf('always', 'configured'),
    functions: sharedState ? sumOf('always', 'configured', 'functions') : null,
  };
}

const priced = (units: number, perMillion: number): number => (units * perMillion) / 1e6;

/** How long a machine without a limit would take: as reading did, and a sample time for each transaction. */
const unlimitedMs = ({ scanMs, transactions }: CostedWork): number => scanMs + transactions * sampleTransactionMs;

/** What the limit of the rate makes of that. */
function copyingMs(work: CostedWork): number {
  const { ratePerSecond, changes } = work;
  return Math.max(unlimitedMs(work), ratePerSecond === null ? 0 : (changes.keys * 1000) / ratePerSecond);
}

/** Conditional writes to the state of one apply by one machine; an item of a chunk is smaller than a unit. */
export function stateWrites(work: CostedWork): number {
  const { chunks, workers, scanMs } = work;
  const busy = Math.max(1, Math.min(workers, chunks));
  const chunkMs = chunks === 0 ? 0 : (copyingMs(work) * busy) / chunks;
  const checkpoints = chunks * Math.floor(chunkMs / checkpointEveryMs);
  const heartbeats = Math.floor((copyingMs(work) + scanMs) / heartbeatEveryMs);
  return writesOfRun + writesOfChunk * chunks + checkpoints + heartbeats;
}

function stateRows(work: CostedWork, { perMillion }: Prices): readonly PricedRow[] {
  const { chunks, keptBytes, scanMs } = work;
  const images = Math.ceil(keptBytes / writeUnitBytes);
  const writes = stateWrites(work) + images;
  const reads = readsOfRun + chunks + Math.ceil((copyingMs(work) + scanMs) / watchEveryMs);
  const detail = `${counted(chunks, 'chunk')}${images === 0 ? '' : `, ${images} units of before-images`}`;
  const dollars = { writes: priced(writes, perMillion.writeUnits), reads: priced(reads, perMillion.readUnits) };
  return [
    { what: 'state writes', unit: 'write units', units: writes, dollars: dollars.writes, when: 'always', detail },
    { what: 'state reads', unit: 'read units', units: reads, dollars: dollars.reads, when: 'always', detail: '' },
  ];
}

function readRow(
  what: 'source reads' | 'target reads',
  { keys, bytes }: Volume,
  { itemOverheadBytes }: StoreBilling,
  times: number,
  { perMillion }: Prices,
): PricedRow {
  const units = times * Math.ceil((bytes + keys * itemOverheadBytes) / readUnitBytes);
  const dollars = priced(units, perMillion.readUnits);
  const detail = 'the prefix, as often as apply reads it';
  return { what, unit: 'read units', units, dollars, when: 'always', detail };
}

/** Both ways of writing, so that whoever chooses sees what fences cost. */
function targetRows(work: CostedWork, billing: StoreBilling, prices: Prices): readonly PricedRow[] {
  const { perMillion } = prices;
  const ways = ['transactions', 'single'] as const;
  return [
    readRow('target reads', work.targetRead, billing, 1, prices),
    ...ways.map((way): PricedRow => {
      const units = targetWriteUnits(work, way);
      // Single writes look first.
      const reads = way === 'single' ? work.changes.keys : 0;
      return {
        what: 'target writes',
        unit: 'write units',
        units,
        dollars: priced(units, perMillion.writeUnits) + priced(reads, perMillion.readUnits),
        when: way === billing.writes ? 'configured' : 'other',
        detail: way === 'single' ? 'writes: single, not fenced' : 'writes: transactions, fenced',
      };
    }),
  ];
}

/** Fence, epoch and mark are in a transaction either way; what is in one is billed twice. */
function targetWriteUnits({ changes, transactions }: CostedWork, way: StoreBilling['writes']): number {
  const { keys, bytes, itemUnits } = changes;
  if (keys === 0) return 0;
  const keyBytes = Math.min(bytes / keys, 64);
  const markUnits = Math.ceil(((keys / transactions) * (19 + keyBytes)) / writeUnitBytes);
  const guards = transactions * 2 * (2 + markUnits);
  return guards + (way === 'transactions' ? 2 * itemUnits : itemUnits);
}

function functionRows(work: CostedWork, { perMillion }: Prices): readonly PricedRow[] {
  const { chunks, changesListed, functions, scanMs } = work;
  // Rows are written and dropped again, in as many units.
  const rowUnits = 2 * Math.ceil((changesListed * rowBytes) / writeUnitBytes);
  const writes = writesOfSubmission + checksOfChunk * chunks + rowUnits;
  // Functions that wait for their share of a rate are paid for as if they worked.
  const waited = work.ratePerSecond === null ? 1 : Math.max(1, Math.min(functions, chunks));
  const seconds = (Math.max(unlimitedMs(work), copyingMs(work) * waited) + scanMs) / 1000 / usefulShare;
  const gigabyteSeconds = Math.ceil(seconds * functionGigabytes);
  const invocations = Math.ceil((seconds * 1000) / invocationMs);
  const transitions = transitionsOfRun + 2 * transitionsOfItem * Math.min(chunks, itemsMax);
  const time = priced(gigabyteSeconds, perMillion.gigabyteSeconds) + priced(invocations, perMillion.invocations);
  return [
    {
      what: 'state writes',
      unit: 'write units',
      units: writes,
      dollars: priced(writes, perMillion.writeUnits),
      when: 'functions',
      detail: 'the plan in the state, checks',
    },
    {
      what: 'functions',
      unit: 'GB-s',
      units: gigabyteSeconds,
      dollars: time,
      when: 'functions',
      detail: `${functionGigabytes} GB, arm64; ${counted(invocations, 'invocation')}`,
    },
    {
      what: 'state machine',
      unit: 'transitions',
      units: transitions,
      dollars: priced(transitions, perMillion.transitions),
      when: 'map',
      detail: 'instead of schedules',
    },
  ];
}
