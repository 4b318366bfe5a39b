/** The ports that the engine runs on. Whoever wires them decides which stores they are; nothing here asks. */
import {
  KeyferryError,
  type Clock,
  type Host,
  type MigrationId,
  type OnlineSource,
  type OnlineTarget,
  type PrimarySwitch,
  type Random,
  type Scratch,
  type SourceStore,
  type StateStore,
  type StopSignal,
  type Switch,
  type TargetStore,
} from '@keyferry/core';

/** @throws {KeyferryError} `run.interrupted` once `signal` has aborted. Nothing is under way where this is called. */
export function assertNotStopped(migration: MigrationId, signal: StopSignal | undefined): void {
  if (signal?.aborted !== true) return;
  throw new KeyferryError('run.interrupted', { migration, signal: String(signal.reason) });
}

export interface Environment {
  readonly state: StateStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly host: Host;
  /** Of a call that fails for the moment, the first one included. Absent: as many as a person waits for. */
  readonly triesMax?: number;
}

export interface Engine extends Environment {
  readonly source: SourceStore;
  readonly target: TargetStore;
  /** Where an image is sorted whose keys the rules put into another order. */
  readonly scratch: Scratch;
  /** Absent: applications take no part. */
  readonly online?: Online;
  /** Only where the strategy is `replicate`. */
  readonly replicate?: ReplicatePorts;
}

/** The stores as applications use them while they move, and the place where they follow the mode. */
export interface Online {
  readonly place: Switch;
  /** Null: this kind of store cannot be one. */
  readonly source: OnlineSource | null;
  readonly target: OnlineTarget | null;
}

/** What strategy `replicate` needs beside source and target. */
export interface ReplicatePorts {
  /** The source's store, as one that is written: by the reverse tail. */
  readonly back: TargetStore;
  readonly primary: PrimarySwitch;
}

/** Records of one page, through every scan. */
export const pageKeysMax = 1000;
