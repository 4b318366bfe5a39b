/** How a process of the stage meets the world: every call is counted, and it may be killed at any of them. */
import { KeyferryError, type ParallelPhase, type ParallelSettings, type StateStore } from '@keyferry/core';

/** No error of keyferry's: nothing may catch it and go on. */
class Killed extends Error {}

export interface Fault {
  /** Of the calls of a run, counted from 1. */
  readonly call: number;
  readonly moment: 'before' | 'after';
}

export interface RunHooks {
  readonly kill?: Fault;
  readonly accept?: readonly string[];
  readonly confirm?: readonly ParallelPhase[];
  readonly follow?: boolean;
  readonly settings?: Partial<ParallelSettings>;
  /** The call of that name fails for good. */
  readonly failing?: string;
  /** Called before each call of a port, by its name. */
  readonly onCall?: (name: string) => void;
}

/** What happens before each call, whoever makes it. */
export interface Surroundings {
  /** Of the run that was made last. */
  calls: string[];
  clientsAct(): Promise<void>;
}

/** Every call of a process to the world goes through here. */
export class Gate {
  private readonly stage: Surroundings;
  private readonly hooks: RunHooks;
  private dead = false;

  constructor(stage: Surroundings, hooks: RunHooks) {
    this.stage = stage;
    this.hooks = hooks;
    stage.calls = [];
  }

  async pass<T>(name: string, effect: () => T | Promise<T>): Promise<T> {
    if (this.dead) throw new Killed(name);
    const { kill, failing, onCall } = this.hooks;
    this.stage.calls.push(name);
    const isDue = kill?.call === this.stage.calls.length;
    if (isDue && kill.moment === 'before') this.die(name);
    onCall?.(name);
    await this.stage.clientsAct();
    if (name === failing)
      throw new KeyferryError('store.request-refused', { store: 'x', detail: `${name} is refused` });
    const result = await effect();
    if (isDue) this.die(name);
    return result;
  }

  private die(name: string): never {
    this.dead = true;
    throw new Killed(name);
  }
}

export function gatedState(state: StateStore, gate: Gate): StateStore {
  return {
    read: (...of) => state.read(...of),
    write: (...of) => gate.pass(`write ${of[0]}`, () => state.write(...of)),
    remove: (...of) => gate.pass(`remove ${of[0]}`, () => state.remove(...of)),
    list: (...of) => state.list(...of),
    close: () => state.close(),
  };
}

export function isKilled(error: unknown): boolean {
  return error instanceof Killed;
}
