/**
 * The explorer's world of a cutover by `replicate`: one key in two stores, a tail between them, instances of the application
 * that follow the primary switch, and the runs of commands that change it, of which one may be a run that was taken for dead.
 *
 * A state is a plain value. Positions are kept as what lies behind them: the changes that a tail has not carried yet.
 */
import type {
  Barrier,
  Gate,
  HoldKnowledge,
  HoldProof,
  InstanceId,
  OpenOperation,
  PrimaryRecord,
  PrimarySide,
  SwitchEpoch,
} from '../../../src/index.ts';
import { historyKey, type History, type Id } from '../history.ts';
import { numbered } from '../world.ts';

/** One store: its record, and what it knows of keyferry. */
export interface Side {
  /** Whose write its record is; `nothing`: none is there. */
  readonly value: Id;
  /** Its changes behind the position of the tail that reads it; null: none has a position in it. */
  readonly ahead: readonly Id[] | null;
  /** Of the migration, in this store. */
  readonly epoch: number;
  /** Token of the tail that fills this store. */
  readonly fence: number;
}

export type Standing = Pick<PrimaryRecord, 'primary' | 'writes'>;

/** The switch. Its version tells each write of it apart. */
export interface Announced extends Standing {
  readonly epoch: SwitchEpoch;
  readonly version: number;
}

export type OperationKind = 'get' | 'put' | 'delete';

export interface Running {
  readonly number: number;
  readonly kind: OperationKind;
  readonly side: PrimarySide;
  /** A write's is held by the gate until it is over; no hold waits for a read. */
  readonly begun: OpenOperation;
}

export interface Instance {
  readonly instance: InstanceId;
  /** Others follow the switch as well, and tell nobody. */
  readonly registers: boolean;
  /** new: before its start. registered: and has not yet read the switch. read: the other way round, where a rule is off. */
  readonly status: 'new' | 'registered' | 'read' | 'serving';
  /** By a clock that stands at 0: its lease ends at 1 while it renews, and at 0 once it lapsed. */
  readonly gate: Gate;
  /** What it last read at the switch. */
  readonly seen: Standing;
  /** In its registration. */
  readonly acknowledged: SwitchEpoch;
  /** Operations that it may still begin. */
  readonly left: number;
  readonly running: Running | null;
  /** Requests whose sender no longer waits: they take effect at any time within their life, or never. */
  readonly strays: readonly Running[];
  /** lapsed: past its lease, perhaps stopped. dead: its process is gone; named: and an operator said so. */
  readonly life: 'running' | 'lapsed' | 'dead' | 'named';
}

/** One run of a command, and what it remembers. */
export interface Run {
  readonly to: PrimarySide;
  readonly stage: 'begun' | 'proving' | 'calling' | 'holding' | 'clearing' | 'removing';
  /** False: another one took its place, and it does not know. */
  readonly isCurrent: boolean;
  /** Of the migration, as it read the state. */
  readonly epoch: number;
  /** Of the tail that it claimed. */
  readonly fence: number;
  /** The key was carried since both sides were proven equal. */
  readonly touched: boolean;
  /** What it last saw or wrote at the switch. */
  readonly entry: Announced;
  readonly ourEpoch: SwitchEpoch | null;
  readonly proof: HoldProof | null;
  readonly barrier: Barrier | null;
  readonly known: HoldKnowledge;
  /** Changes up to the head that is drained to; null: none was read. */
  readonly drainLeft: number | null;
  readonly movedInDrain: boolean;
  readonly lookedLast: boolean;
  /** Somebody else carried since it lost its tail: where it stands, nothing of it is true. */
  readonly isStale: boolean;
}

/** A write of a tail that timed out and was repeated: the first one is still on its way. */
export interface LateCarry {
  readonly side: PrimarySide;
  readonly id: Id;
  readonly epoch: number;
  readonly fence: number;
  /** Its repeat has not been sent yet: whichever comes first is the one. */
  readonly isFirst: boolean;
}

export interface World {
  readonly source: Side;
  readonly target: Side;
  readonly announced: Announced;
  /** The state says that a change-over was begun and has not ended. */
  readonly isUnderWay: boolean;
  /** The state says that the migration goes back, so that nothing is carried to the target any more. */
  readonly goesBack: boolean;
  /** Of the migration, in the state. */
  readonly stateEpoch: number;
  readonly instances: readonly Instance[];
  readonly runs: readonly Run[];
  readonly late: LateCarry | null;
  /** A change whose position was stored before its effect, where that rule is off. */
  readonly pending: { readonly side: PrimarySide; readonly id: Id } | null;
  /** The target refused a change. */
  readonly refused: boolean;
  /** Index of the goal that the operator has. */
  readonly goal: number;
  readonly operations: number;
  readonly budget: Budget;
  readonly history: History;
  /** What went wrong in the step that led here. */
  readonly wrong: string | null;
}

/** How often each thing may still happen that could happen without end. */
export interface Budget {
  /** Requests of instances that time out. */
  readonly unknowns: number;
  /** Of the first instance. */
  readonly lapses: number;
  /** Holds that take too long. */
  readonly deadlines: number;
  /** Runs that are taken for dead. */
  readonly takeovers: number;
  /** Writes of a tail that time out. */
  readonly lateCarries: number;
  /** Changes that the other store refuses. */
  readonly refusals: number;
}

/** A function that tells states apart, for one exploration. */
export function worldKeys(): (world: World) => string {
  const ofPart = numbered<object>((part) => JSON.stringify(part));
  const ofHistory = numbered(historyKey);
  return (world) => {
    const { source, target, announced, late, pending, budget, wrong } = world;
    const { isUnderWay, goesBack, refused, stateEpoch, goal } = world;
    let key = `${ofPart(source)},${ofPart(target)},${ofPart(announced)},${ofPart(budget)},${stateEpoch}.${goal}.`;
    key += Number(isUnderWay) + 2 * Number(goesBack) + 4 * Number(refused);
    if (late !== null) key += `!${ofPart(late)}`;
    if (pending !== null) key += `?${ofPart(pending)}`;
    for (const instance of world.instances) key += `,${ofPart(instance)}`;
    for (const run of world.runs) key += `>${ofPart(run)}`;
    return `${key};${ofHistory(world.history)}${wrong ?? ''}`;
  };
}
