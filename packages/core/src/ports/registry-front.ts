/**
 * The front of a registry: what clients see through a load balancer. Requests as clients make them, each with the status
 * that came, so that what is seen after the switch can be held against what was seen before the freeze.
 */
import type { StopSignal } from './environment.ts';

/**
 * clients: look-ups as producers and consumers make them (by id, by content, by subject), and errors that they rely on
 * (unknown artifact, unknown id, no authorization); the same requests to 2.x and to 3.x. core: the v3 API (system, search,
 * admin, branches), ccompat and the v2 API on 3.x.
 */
export type ProbeSuite = 'clients' | 'core';

/** EVIDENCE (registry.ts): one request. */
export interface ProbeOutcome {
  /** Says the request in words; the same one in both releases. */
  readonly name: string;
  /** null: no answer. */
  readonly status: number | null;
  /** It answered what it is expected to whatever was seen before; what is wrong, in words, else null. */
  readonly wrong: string | null;
  readonly tookMs: number;
}

/** EVIDENCE. All probes of a suite through one balancer. */
export interface FrontReceipt {
  readonly balancer: string;
  readonly suite: ProbeSuite;
  readonly probes: readonly ProbeOutcome[];
}

export interface RegistryFront {
  /**
   * @param url of the balancer
   * @param release that has to answer: the major number
   */
  probe(url: string, suite: ProbeSuite, release: 2 | 3, signal: StopSignal): Promise<readonly ProbeOutcome[]>;
}
