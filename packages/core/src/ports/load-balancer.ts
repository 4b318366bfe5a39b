/**
 * Load balancers: where the traffic of applications goes under strategy `parallel`, and whether it may write.
 *
 *     v2-rw ──freeze──► v2-ro ──read on 3──► v3-ro ──switch──► v3-rw          any phase may follow any other, for the way back
 *
 * One port is one process with one configuration; a migration has one or several, and none of its steps is over before all
 * of them say so. A phase is in force only when the files and the running process agree, every worker of an older phase is
 * gone, and a write that can do no harm was refused with the balancer's own mark (`leakTest`).
 *
 * `ro` answers 405 with `Allow` and with the header `keyferry-phase: PHASE` to whatever could write, and lets through reads
 * and the POST and PUT requests that only read (lookup by content, compatibility checks, searches, dry runs). In each
 * phase, every answer carries that header.
 *
 * EVIDENCE types are kept in the state: the same rules as in registry.ts.
 *
 * Calls fail with `balancer.unreachable`, `balancer.refused` (a check of the configuration failed; the old one serves on)
 * or `balancer.changed` (somebody else changed a file since), and change nothing then unless they say so. All may be
 * repeated; a repeat of what is in force already writes nothing.
 */
import type { StopSignal } from './environment.ts';

export const trafficPhases = ['v2-rw', 'v2-ro', 'v3-ro', 'v3-rw'] as const;
export type TrafficPhase = (typeof trafficPhases)[number];

/** The header that names the phase in each answer. */
export const trafficPhaseHeader = 'keyferry-phase';

/**
 * EVIDENCE. What the files were before keyferry touched anything. The bytes stay on the balancer's machine, in copies with the
 * mode and owner of their files: a configuration may hold passwords, which are nothing for the state.
 */
export interface BalancerOrigin {
  readonly balancer: string;
  readonly kind: 'nginx' | 'haproxy';
  /** SHA-256 in hexadecimal digits; null: the file was not there. */
  readonly files: readonly { readonly path: string; readonly sha256: string | null }[];
}

export interface BalancerState {
  /** What the files say; null: they were never adopted, or somebody else changed them. */
  readonly inFile: TrafficPhase | null;
  /** What the running process does; null: not to be told. */
  readonly atRuntime: TrafficPhase | null;
  /** Where both differ: in words. A reload that somebody made may have brought an older file back. */
  readonly drift: string | null;
}

/** EVIDENCE. */
export interface ShiftReceipt {
  readonly balancer: string;
  readonly phase: TrafficPhase;
  /** Of the file that names the phase. */
  readonly sha256Before: string;
  readonly sha256After: string;
  /** false: it was in force already. */
  readonly changed: boolean;
  /** How it took effect: a graceful reload, or something that is looked up in each request, so that no connection is lost. */
  readonly by: 'reload' | 'map';
  readonly atMs: number;
  readonly tookMs: number;
}

/** EVIDENCE. */
export interface DrainReceipt {
  readonly balancer: string;
  /** true: no worker of an older phase and no session with the backend that was left. */
  readonly drained: boolean;
  /** Left when it gave up, in words; null when drained. */
  readonly left: string | null;
  readonly tookMs: number;
}

/** EVIDENCE. A write that can do no harm (a DELETE of an artifact that does not exist), sent through the balancer. */
export interface LeakReceipt {
  readonly balancer: string;
  readonly phase: TrafficPhase;
  /** Each over a fresh connection and over kept ones. */
  readonly probes: number;
  /** Answered by a server behind it although writes are refused, or refused although they are not; 0: as it should be. */
  readonly leaks: number;
  /** The first one: status and mark. */
  readonly detail: string | null;
}

/** What passed since `sinceMs`, from the balancer's own log or counters. */
export interface TrafficFigures {
  readonly balancer: string;
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly requests: number;
  /** By class, and 405 by itself, which the balancer gives in a freeze; `4xx` does not count those. */
  readonly answers: Readonly<Record<'2xx' | '3xx' | '4xx' | '405' | '5xx', number>>;
  /** Milliseconds; null: the balancer does not say. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

/** Paths of APIs that clients call, by how often, from the access log. */
export interface ApiUse {
  readonly balancer: string;
  /** `/apis/ccompat/v6`, `/apis/registry/v2`. */
  readonly prefix: string;
  readonly method: string;
  readonly requests: number;
  /** Milliseconds since 1970 of the last one. */
  readonly lastAtMs: number;
  /** Who calls it, the busiest ten. */
  readonly clients: readonly { readonly address: string; readonly requests: number }[];
}

export interface LoadBalancer {
  /** As the configuration calls it; unique in a migration. */
  readonly name: string;
  readonly kind: 'nginx' | 'haproxy';
  /** For people. Holds no secret. */
  readonly where: string;
  /** URL that clients use, through this one; `verify` and `smoke` ask there. */
  readonly url: string;
  /** What is there before anything is adopted; writes nothing. */
  readOrigin(): Promise<BalancerOrigin>;
  /** Checks without changing anything that each phase could be put in force. Findings in words; none: it can. */
  rehearse(): Promise<readonly string[]>;
  /** Takes the configuration over, in phase `v2-rw`, with the origin that was stored before. */
  adopt(origin: BalancerOrigin, signal: StopSignal): Promise<ShiftReceipt>;
  read(): Promise<BalancerState>;
  /** Files first, then the running process. In force only after `awaitDrained` and `leakTest`. */
  shift(phase: TrafficPhase, signal: StopSignal): Promise<ShiftReceipt>;
  /** Gives up after `withinMs`, as an outcome and not as a failure. */
  awaitDrained(withinMs: number, signal: StopSignal): Promise<DrainReceipt>;
  leakTest(phase: TrafficPhase, signal: StopSignal): Promise<LeakReceipt>;
  /** null: it keeps no log or counter that could tell. */
  traffic(sinceMs: number): Promise<TrafficFigures | null>;
  /** null: it keeps no access log. */
  apiUse(sinceMs: number): Promise<readonly ApiUse[] | null>;
  /** Puts the exact bytes back and has the process take them. */
  restore(origin: BalancerOrigin, signal: StopSignal): Promise<ShiftReceipt>;
  close(): Promise<void>;
}
