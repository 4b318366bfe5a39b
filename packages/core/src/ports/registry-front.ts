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
  /** Of the body, in hexadecimal digits, where its bytes must stay what they were; else null. */
  readonly sha256: string | null;
  /** It answered what it is expected to whatever was seen before; what is wrong, in words, else null. */
  readonly wrong: string | null;
  readonly tookMs: number;
}

/** EVIDENCE. What is asked for: taken once, so that the same is asked of both releases. */
export interface ProbeSample {
  readonly versions: readonly {
    readonly group: string;
    readonly artifact: string;
    readonly version: string;
    readonly globalId: number;
    readonly contentId: number;
  }[];
}

/** EVIDENCE. All probes of a suite through one balancer. */
export interface FrontReceipt {
  readonly balancer: string;
  readonly suite: ProbeSuite;
  readonly probes: readonly ProbeOutcome[];
}

export interface RegistryFront {
  /** A few artifacts of 2.x, through a balancer. */
  sample(url: string, signal: StopSignal): Promise<ProbeSample>;
  /**
   * @param url of the balancer
   * @param release that has to answer: the major number
   */
  probe(
    url: string,
    suite: ProbeSuite,
    release: 2 | 3,
    sample: ProbeSample,
    signal: StopSignal,
  ): Promise<readonly ProbeOutcome[]>;
  /** Makes an artifact of one version by the v2 API. Only a rehearsal writes. */
  write(url: string, name: string, signal: StopSignal): Promise<FrontWrite>;
  /** Whether the version of that id is there, with the bytes that were written. */
  holds(url: string, written: FrontWrite, signal: StopSignal): Promise<boolean>;
}

export interface FrontWrite {
  readonly globalId: number;
  /** Of the content, in hexadecimal digits. */
  readonly sha256: string;
}
