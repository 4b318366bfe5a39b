/**
 * The explorer's world: one key in two stores, two clients, copiers, a controller, and all that is under way.
 *
 * A state is a plain value. Two states with the same key of `worldKey` have the same future, so each is looked at once.
 */
import type {
  InstanceId,
  Mode,
  Operation,
  Rung,
  Stage,
  StoreRequest,
  SwitchEpoch,
  TargetRecord,
  Token,
  Version,
} from '../../src/index.ts';
import { historyKey, type History, type Id } from './history.ts';

/** A record: whose write it is, whether it has a TTL, its version in its store. */
export interface Cell {
  readonly id: Id;
  readonly ttl: boolean;
  readonly version: Version;
  readonly copiedFrom: Version | null;
}

/** A request whose sender no longer waits for its answer. It takes effect at any time, or never. */
export interface Stray {
  readonly mode: Mode;
  readonly epoch: SwitchEpoch;
  readonly request: StoreRequest<Value>;
}

/** What a put carries: the id of its write. */
export type Value = Id;

export interface Running {
  readonly number: number;
  readonly operation: Operation<Value>;
  readonly mode: Mode;
  readonly epoch: SwitchEpoch;
  /** Null: it was refused as a whole because the epoch had moved, and begins again in the next mode. */
  readonly request: StoreRequest<Value> | null;
  readonly stage: Stage<Value>;
  /** Of the delete of a tree: a read so far, which is over before the delete of what it found is begun. */
  readonly part?: 'list' | 'delete';
  /** Its lease ended while it ran. */
  readonly doubted?: true;
  /** Where a rule is off and one request takes two steps: the first of them is done. */
  readonly half?: { readonly record: TargetRecord<Value> | null };
}

export interface Client {
  readonly instance: InstanceId;
  /** new: before its start. registered: and has not yet read the switch. read: the other way round, where a rule is off. */
  readonly status: 'new' | 'registered' | 'read' | 'serving';
  readonly rung: Rung;
  readonly epoch: SwitchEpoch;
  readonly acknowledged: SwitchEpoch;
  /** Operations that it may still begin. */
  readonly left: number;
  readonly running: Running | null;
  readonly strays: readonly Stray[];
  /** What its last read returned. */
  readonly seen: { readonly id: Id; readonly token: Token } | null;
  /** running: fine. lapsed: past its lease, perhaps stopped. dead: its process is gone; named: and an operator said so. */
  readonly life: 'running' | 'lapsed' | 'dead' | 'named';
  /** It renewed when its lease was over, and has not read the switch since. */
  readonly mustLook: boolean;
  /** Both stores refuse what it writes. */
  readonly revoked: boolean;
}

export interface Copier {
  /** What it has read of the source; undefined: nothing yet. */
  readonly read: Cell | null | undefined;
  /** Epoch of the target under which it works. */
  readonly fence: number;
}

export interface World {
  readonly source: Cell | null;
  /** What the source held before its last change, for whoever reads a member that lags. */
  readonly sourceBefore: Cell | null;
  readonly target: Cell | null;
  readonly tombstone: boolean;
  /** Of the migration, in the target. */
  readonly targetEpoch: number;
  /** That of the running attempt. */
  readonly attemptEpoch: number;
  readonly rung: Rung;
  readonly epoch: SwitchEpoch;
  /** Index of the goal that the controller has. */
  readonly goal: number;
  readonly backfilled: boolean;
  readonly verified: boolean;
  readonly cleaned: boolean;
  readonly clients: readonly Client[];
  readonly copiers: readonly Copier[];
  /** Applications' changes in the target that the reverse tail has not yet made in the source. */
  readonly untailed: readonly Pick<Cell, 'id' | 'ttl'>[];
  /** Values whose TTL has ended. */
  readonly over: readonly Id[];
  readonly operations: number;
  /** How often each thing may still happen that could happen without end. */
  readonly budget: Budget;
  readonly history: History;
}

export interface Budget {
  readonly giveUps: number;
  readonly unknowns: number;
  /** Of the first client. */
  readonly lapses: number;
}

/**
 * States share most of their parts, so a part's key is made once for each object.
 * Distinct keys get short numbers: the keys of states are what memory is spent on.
 */
export function numbered<T extends object>(keyOf: (part: T) => string): (part: T) => number {
  const known = new WeakMap<T, number>();
  const numbers = new Map<string, number>();
  return (part) => {
    const before = known.get(part);
    if (before !== undefined) return before;
    const key = keyOf(part);
    const number = numbers.get(key) ?? numbers.size;
    numbers.set(key, number);
    known.set(part, number);
    return number;
  };
}

/** A function that tells states apart, for one exploration. */
export function worldKeys(): (world: World) => string {
  const ofCell = numbered<Cell>(({ id, ttl, version, copiedFrom }) => `${id}${ttl ? 't' : ''}${version}${copiedFrom}`);
  const ofCopier = numbered<Copier>(({ read, fence }) => `${cellKey(read)}/${fence}`);
  const ofHistory = numbered(historyKey);
  const ofClient = numbered(clientKey);
  const ofRung = numbered<Rung>(({ mode, heldFrom, committed }) => `${mode}${heldFrom}${committed}`);
  function cellKey(cell: Cell | null | undefined): string {
    return cell ? String(ofCell(cell)) : cell === null ? '-' : '?';
  }
  return (world) => {
    const { rung, epoch, goal, budget, backfilled, verified, cleaned, tombstone } = world;
    let key = `${cellKey(world.source)},${cellKey(world.sourceBefore)},${cellKey(world.target)},`;
    key += `${world.targetEpoch}.${world.attemptEpoch}.${ofRung(rung)}.${epoch}.${goal}.`;
    key += `${Number(tombstone) + 2 * Number(backfilled) + 4 * Number(verified) + 8 * Number(cleaned)}.`;
    key += `${budget.giveUps}${budget.unknowns}${budget.lapses}`;
    for (const client of world.clients) key += `,${ofClient(client)}`;
    for (const copier of world.copiers) key += `,${ofCopier(copier)}`;
    for (const { id, ttl } of world.untailed) key += `>${id}${ttl ? 't' : ''}`;
    for (const id of world.over) key += `!${id}`;
    return `${key};${ofHistory(world.history)}`;
  };
}

/** Clients differ by their place. */
function clientKey(client: Client): string {
  return JSON.stringify(client);
}
