/** What a client is given, and what it assumes where it is given nothing. */
import type { Clock, OnlineSource, OnlineTarget, Switch } from '@keyferry/core';

/** How an instance takes part at a switch, whatever that says. */
export interface PresenceOptions {
  /** Of this process, for people: `api-eu-3`. Each start registers under a name of its own made from it. */
  readonly name: string;
  /** For so long a registration counts without being renewed; it is renewed three times as often. Default 15,000. */
  readonly leaseMs?: number | undefined;
  /**
   * The longest time after which a request that was sent can still take effect in either store: its own timeout and what
   * stands between. Too short, and a write that nobody waited for is lost. Default 30,000.
   */
  readonly requestLifeMs?: number | undefined;
  /** How long an operation waits where its mode holds it back, before it fails with `client.write-held`. Default 30,000. */
  readonly waitMaxMs?: number | undefined;
  /** How often the switch is read. Default 250; twenty times as often while writes are held back. */
  readonly pollMs?: number | undefined;
  /** Hears what the background does not throw at anybody: a switch that cannot be read. Default: nobody. */
  readonly onProblem?: ((error: unknown) => void) | undefined;
  /** Default: the machine's. */
  readonly clock?: Clock | undefined;
  /** 64 random bits as text, for the name that registers. Default: the machine's. */
  readonly uniqueId?: (() => string) | undefined;
}

export interface ClientOptions extends PresenceOptions {
  readonly switch: Switch;
  /** The store that the application comes from. */
  readonly source: OnlineSource;
  /** The store that it goes to. */
  readonly target: OnlineTarget;
}

export interface Settings {
  readonly leaseMs: number;
  readonly requestLifeMs: number;
  readonly waitMaxMs: number;
  readonly pollMs: number;
}

export function settingsOf(options: PresenceOptions): Settings {
  const { leaseMs = 15_000, requestLifeMs = 30_000, waitMaxMs = 30_000, pollMs = 250 } = options;
  return { leaseMs, requestLifeMs, waitMaxMs, pollMs };
}
