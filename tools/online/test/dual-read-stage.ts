/**
 * A stage for dual-read: the engine's commands and real instances of the client on the same memory stores, in virtual time.
 * A test gets between two steps by `during`, which sees each message as it is emitted and may throw there, as if the
 * process had been killed: nothing but its lock is tidied up.
 */
import { openClient, type OnlineClient } from '@keyferry/client';
import { VirtualClock } from '@keyferry/client/testing';
import {
  keyFromText,
  keyToText,
  type InstanceId,
  type Message,
  type MigrationSpec,
  type OnlineSource,
  type RegistrationRecord,
  type SwitchEpoch,
} from '@keyferry/core';
import { MemoryScratch, MemoryStateStore, MemoryStore, MemorySwitch, MemorySwitchData } from '@keyferry/core/testing';
import {
  applyDualRead,
  backfillSlice,
  cutOverDualRead,
  Deadline,
  dispatchSlice,
  finalizeDualRead,
  makePlan,
  rollBackDualRead,
  SliceHome,
  submitPlan,
  verifySlice,
  type Engine,
  type OnlineOptions,
  type RunOptions,
} from '@keyferry/engine';
import { MemoryPlan } from '@keyferry/engine/testing';
import { dualReadSpec, keyPrefix } from '../sim/dual-read-spec.ts';

/** Of instances, and as the migration says. */
export const requestLifeMs = 5000;
const prefix = keyFromText(keyPrefix);
/** What an instance leaves at the switch that died without a word. */
export const silent: RegistrationRecord = {
  instance: 'silent.1' as InstanceId,
  acknowledged: 0 as SwitchEpoch,
  renewals: 1,
  leaseMs: 3000,
  since: 'long ago',
  goneAt: null,
};
export const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : Buffer.from(value).toString();

const slices = { dispatch: dispatchSlice, backfill: backfillSlice, verify: verifySlice };
type SliceOf<N extends keyof typeof slices> = Awaited<ReturnType<(typeof slices)[N]>>;

export interface Hooks {
  readonly during?: (message: Message, interrupt: () => void) => void;
  readonly confirmGone?: readonly string[];
  /** As a kind of store that no application could use while it moves. */
  readonly isSourceUnable?: boolean;
  /** As the controller uses it, in the place of the stage's own. */
  readonly source?: OnlineSource;
}

export class DualReadStage {
  readonly clock = new VirtualClock();
  readonly source: MemoryStore;
  readonly target: MemoryStore;
  readonly heldSwitch = new MemorySwitchData();
  readonly messages: Message[] = [];
  readonly spec: MigrationSpec;
  private readonly state = new MemoryStateStore();
  private started = 0;
  private plan: MemoryPlan | null = null;

  constructor(spec: Partial<NonNullable<MigrationSpec['online']>> = {}) {
    const nowMs = (): number => this.clock.nowMs();
    this.source = new MemoryStore({ name: 'old', nowMs });
    this.target = new MemoryStore({ name: 'new', nowMs });
    this.spec = dualReadSpec({ instancesMin: 2, barrierTimeoutMs: 10_000, requestLifeMs, ...spec }, 5);
  }

  openClient(name: string): Promise<OnlineClient> {
    this.started += 1;
    const id = String(this.started);
    return openClient({
      name,
      uniqueId: () => id,
      switch: new MemorySwitch(this.heldSwitch),
      source: this.source.onlineSource(),
      target: this.target.onlineTarget(this.spec.migration, this.heldSwitch),
      clock: this.clock,
      leaseMs: 3000,
      requestLifeMs,
      waitMaxMs: 600_000,
      pollMs: 200,
    });
  }

  /** What the next apply applies; else it makes its own. */
  async makePlan(hooks: Hooks = {}): Promise<MemoryPlan> {
    const plan = new MemoryPlan();
    await makePlan(this.process(hooks).engine, this.spec, plan);
    this.plan = plan;
    return plan;
  }

  /** Starts a command; virtual time must go on for it to end. */
  async start(command: 'apply' | 'cutover' | 'finalize' | 'rollback', hooks: Hooks = {}) {
    const { engine, options } = this.process(hooks);
    switch (command) {
      case 'apply': {
        const plan = this.plan ?? (await this.makePlan(hooks));
        const apply = { ...options, accept: [], appliedAs: 'shop.kfplan', chunksMax: null };
        return await applyDualRead(engine, this.spec, plan.reader(), apply);
      }
      case 'cutover':
        return await cutOverDualRead(engine, this.spec, options);
      case 'finalize':
        return await finalizeDualRead(engine, this.spec, { ...options, by: 'ops@test' });
      case 'rollback': {
        const result = await rollBackDualRead(engine, this.spec, options);
        this.plan = null;
        return result;
      }
    }
  }

  run(command: Parameters<DualReadStage['start']>[0], hooks: Hooks = {}) {
    return this.clock.until(this.start(command, hooks));
  }

  /** A reviewed plan for functions. */
  async submit(): Promise<void> {
    const plan = await this.makePlan();
    const by = { by: 'ops@test', accept: [], appliedAs: 'shop.kfplan' };
    await this.clock.until(submitPlan(this.process({}).engine, plan.reader(), by));
  }

  /** One invocation of a function with an environment of its own. @param remainingMs until it would be killed */
  async invoke<N extends keyof typeof slices>(name: N, hooks: Hooks = {}, remainingMs = 60_000): Promise<SliceOf<N>> {
    const { engine, options } = this.process(hooks);
    const deadline = new Deadline(this.clock, remainingMs);
    const home = new SliceHome();
    const request = { ...options, deadline, home, spansMax: 4, chunks: null, again: false };
    const work = async (): Promise<SliceOf<N>> => {
      try {
        return (await slices[name](engine, this.spec, request)) as SliceOf<N>;
      } finally {
        await home.close();
        await deadline.close();
      }
    };
    return await this.clock.until(work());
  }

  /** The error's code, or null. */
  async failureOf(command: Parameters<DualReadStage['start']>[0], hooks: Hooks = {}): Promise<string | null> {
    return await this.run(command, hooks).then(
      () => null,
      (error: unknown) => (error as { code?: string }).code ?? String(error),
    );
  }

  place(): MemorySwitch {
    return new MemorySwitch(this.heldSwitch);
  }

  async mode(): Promise<string> {
    return (await this.place().read())?.value.mode ?? 'legacy';
  }

  /** Records under the prefix. */
  valuesIn(store: MemoryStore): Readonly<Record<string, string>> {
    const values: Record<string, string> = {};
    for (const [key, { value }] of store.snapshot()) values[keyToText(key) ?? key] = text(value) ?? '';
    return values;
  }

  async tombstones(): Promise<readonly string[]> {
    const found: string[] = [];
    for await (const page of this.target.onlineTarget(this.spec.migration).list({ start: prefix, end: null })) {
      for (const { key, record } of page) if (record === null) found.push(key);
    }
    return found;
  }

  private process({ during, confirmGone = [], isSourceUnable = false, source }: Hooks): {
    engine: Engine;
    options: RunOptions & OnlineOptions;
  } {
    const interrupts = new AbortController();
    this.started += 1;
    const name = `process ${this.started}`;
    let random = this.started;
    const engine: Engine = {
      source: this.source,
      target: this.target,
      state: this.state,
      scratch: new MemoryScratch({ pageKeysMax: 3 }),
      clock: this.clock,
      random: { uint32: () => (random = (Math.imul(random, 1664525) + 1013904223) >>> 0) },
      host: {
        emit: (message) => {
          this.messages.push(message);
          during?.(message, () => interrupts.abort('SIGINT'));
        },
      },
      online: {
        place: new MemorySwitch(this.heldSwitch),
        source: isSourceUnable ? null : (source ?? this.source.onlineSource()),
        target: this.target.onlineTarget(this.spec.migration, this.heldSwitch),
      },
    };
    const options = { holder: name, command: name, lockTimeoutMs: 0, holderIsGone: () => true };
    return { engine, options: { ...options, signal: interrupts.signal, confirmGone } };
  }
}
