/**
 * A stage for tests of single flows: the real engine on memory stores, in the simulator's virtual time, with nothing
 * going wrong unless the test makes it. `during` is how a test gets between two steps: it sees each message as it is
 * emitted, and may then change a store or press Ctrl-C.
 */
import {
  keyFromText,
  keyToText,
  type DeadLetter,
  type FeedNotice,
  type LockState,
  type Message,
  type MigrationId,
  type PlanReader,
  type PrefixRule,
  type StateStore,
  type MigrationSpec,
} from '@keyferry/core';
import {
  MemoryPrimarySwitch,
  MemoryScratch,
  MemoryStateStore,
  MemoryStore,
  type MemoryStoreOptions,
} from '@keyferry/core/testing';
import {
  applyOffline,
  applyReplicate,
  cutOver,
  Deadline,
  finalize,
  finalizeReplicate,
  makePlan,
  readAppliedPlan,
  readStatus,
  reopen,
  requestControl,
  retryDeadLetters,
  rollBack,
  rollBackReplicate,
  tailSlice,
  verify,
  verifyApplied,
  wokenTailSlice,
  type ApplyResult,
  type ControlChange,
  type ControlRequest,
  type Engine,
  type CutoverOptions,
  type RunOptions,
  type RetryResult,
  type TailSlice,
  type WokenTailSlice,
} from '../src/index.ts';
import { memorySpec } from './memory-spec.ts';
import { Kernel } from './sim/kernel.ts';
import { MemoryPlan } from './sim/memory-plan.ts';
import { Prng } from './sim/prng.ts';
import { SimProcess } from './sim/process.ts';
import { Limbo } from './sim/limbo.ts';
import { calm, Weather } from './sim/weather.ts';

const encoder = new TextEncoder();
export const bytes = (text: string): Uint8Array => encoder.encode(text);
export const textOf = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : new TextDecoder().decode(value);

export const rule: PrefixRule = { sourcePrefix: keyFromText('src/'), targetPrefix: keyFromText('dst/') };
const migration = 'shop' as MigrationId;

export interface StageOptions {
  readonly spec?: Partial<MigrationSpec>;
  readonly source?: MemoryStoreOptions;
  readonly target?: MemoryStoreOptions;
}

export interface RunHooks {
  /** Sees each message in the instant in which it is emitted. */
  readonly during?: (message: Message, interrupt: () => void, crash: () => void) => void;
  readonly accept?: readonly string[];
  readonly chunksMax?: number;
  readonly lockTimeoutMs?: number;
  readonly holderIsGone?: (lock: LockState) => boolean;
  /** Over the stage's own: the configuration as somebody edited it meanwhile. */
  readonly spec?: Partial<MigrationSpec>;
  /** In place of the stage's own. */
  readonly source?: MemoryStore;
  readonly target?: MemoryStore;
  readonly state?: StateStore;
}

export class Stage {
  readonly kernel = new Kernel(false);
  readonly source: MemoryStore;
  readonly target: MemoryStore;
  readonly state = new MemoryStateStore();
  readonly primary = new MemoryPrimarySwitch();
  /** Of few entries a page, so that borders of pages are met. */
  readonly scratch = new MemoryScratch({ pageKeysMax: 3 });
  readonly spec: MigrationSpec;
  readonly messages: Message[] = [];
  private processes = 0;

  constructor(options: StageOptions = {}) {
    const nowMs = (): number => this.kernel.nowMs;
    this.source = new MemoryStore({ name: 'old', nowMs, ...options.source });
    this.target = new MemoryStore({ name: 'new', nowMs, ...options.target });
    this.spec = memorySpec({ strategy: 'offline', rule, onConflict: 'keep-target', ...options.spec });
  }

  /** Puts `src/NAME` = value for each entry. */
  fillSource(values: Readonly<Record<string, string>>): void {
    for (const [name, value] of Object.entries(values)) this.source.put(keyFromText(`src/${name}`), bytes(value));
  }

  /** Records `k0000` and so on, with values of their own. */
  fillSourceWith(count: number): void {
    for (let i = 0; i < count; i += 1) {
      this.source.put(keyFromText(`src/k${String(i).padStart(4, '0')}`), bytes(`value ${i}`));
    }
  }

  putTarget(name: string, value: string, expiresAtMs: number | null = null): void {
    this.target.put(keyFromText(`dst/${name}`), bytes(value), expiresAtMs);
  }

  /** The records under the target prefix, by the rest of their keys. */
  targetValues(): Readonly<Record<string, string>> {
    return valuesUnder(this.target, 'dst/');
  }

  /** The same of the source. */
  sourceValues(): Readonly<Record<string, string>> {
    return valuesUnder(this.source, 'src/');
  }

  run<T>(work: (engine: Engine) => Promise<T>, hooks: RunHooks = {}): Promise<T> {
    return this.kernel.run(() => work(this.engine(hooks, () => undefined).engine));
  }

  plan(hooks: RunHooks = {}): Promise<MemoryPlan> {
    const archive = new MemoryPlan();
    return this.run(async (engine) => {
      await makePlan(engine, { ...this.spec, ...hooks.spec }, archive);
      return archive;
    }, hooks);
  }

  apply(plan: MemoryPlan | PlanReader, hooks: RunHooks = {}): Promise<ApplyResult> {
    return this.kernel.run(() => this.startApply(plan, hooks));
  }

  /** As `apply`, for use inside `run`, beside others. */
  startApply(plan: MemoryPlan | PlanReader, hooks: RunHooks = {}): Promise<ApplyResult> {
    const { engine, options } = this.command(hooks);
    const reader = plan instanceof MemoryPlan ? plan.reader() : plan;
    const { accept = [], chunksMax = null } = hooks;
    return applyOffline(engine, { ...this.spec, ...hooks.spec }, reader, {
      ...options,
      accept,
      appliedAs: 'shop.kfplan',
      chunksMax,
    });
  }

  replicate(plan: MemoryPlan, hooks: RunHooks & { readonly follow?: boolean } = {}) {
    return this.kernel.run(() => this.startReplicate(plan, hooks));
  }

  /** As `replicate`, for use inside `run`, beside others. */
  startReplicate(plan: MemoryPlan, hooks: RunHooks & { readonly follow?: boolean } = {}) {
    const { engine, options } = this.command(hooks);
    const { accept = [], chunksMax = null, follow = false } = hooks;
    const more = { accept, appliedAs: 'shop.kfplan', chunksMax, follow };
    return applyReplicate(engine, { ...this.spec, ...hooks.spec }, plan.reader(), { ...options, ...more });
  }

  /** One invocation of the function that follows. @param timeoutMs until it would be killed */
  tailSlice(hooks: RunHooks = {}, timeoutMs = 60_000): Promise<TailSlice> {
    return this.kernel.run(() => this.startTailSlice(hooks, timeoutMs));
  }

  /** As `tailSlice`, for use inside `run`, beside others. */
  startTailSlice(hooks: RunHooks = {}, timeoutMs = 60_000): Promise<TailSlice> {
    return this.startSlice(hooks, timeoutMs, (engine, request) =>
      tailSlice(engine, { ...this.spec, ...hooks.spec }, request),
    );
  }

  /** One invocation that the log of a store called for. */
  wokenTailSlice(notices: readonly FeedNotice[], hooks: RunHooks = {}, timeoutMs = 60_000): Promise<WokenTailSlice> {
    return this.kernel.run(() => this.startWokenTailSlice(notices, hooks, timeoutMs));
  }

  /** As `wokenTailSlice`, for use inside `run`, beside others. */
  startWokenTailSlice(notices: readonly FeedNotice[], hooks: RunHooks = {}, timeoutMs = 60_000) {
    return this.startSlice(hooks, timeoutMs, (engine, request) =>
      wokenTailSlice(engine, { ...this.spec, ...hooks.spec }, request, notices),
    );
  }

  cutOver(hooks: RunHooks & Pick<CutoverOptions, 'rules' | 'confirmGone'> = {}) {
    return this.kernel.run(() => this.startCutOver(hooks));
  }

  /** As `cutOver`, for use inside `run`, beside others. */
  startCutOver(hooks: RunHooks & Pick<CutoverOptions, 'rules' | 'confirmGone'> = {}) {
    const { rules, confirmGone } = hooks;
    return this.startAs((engine, options) => cutOver(engine, this.spec, { ...options, rules, confirmGone }), hooks);
  }

  rollBackReplicate(hooks: RunHooks & Pick<CutoverOptions, 'confirmGone'> = {}) {
    const { confirmGone } = hooks;
    return this.as((engine, options) => rollBackReplicate(engine, this.spec, { ...options, confirmGone }), hooks);
  }

  finalizeReplicate(hooks: RunHooks = {}) {
    return this.as((engine, options) => finalizeReplicate(engine, this.spec, { ...options, by: 'ops@test' }), hooks);
  }

  /** What another terminal asks of the run; within `during` it is on its way when the run goes on. */
  request(request: ControlRequest, by = 'ada@one'): Promise<ControlChange> {
    return requestControl(this.engine({}, () => undefined).engine, migration, request, by);
  }

  retryLetters(hooks: RunHooks = {}): Promise<RetryResult> {
    return this.kernel.run(() => {
      const { engine, options } = this.command(hooks);
      return retryDeadLetters(engine, { ...this.spec, ...hooks.spec }, options);
    });
  }

  verify() {
    return this.run(async (engine) => {
      const plan = await readAppliedPlan(engine, migration);
      return plan === null ? null : verify(engine, this.spec, plan);
    });
  }

  /** As the command does it: held against the plan that was applied. */
  verifyApplied(hooks: RunHooks = {}) {
    return this.run((engine) => verifyApplied(engine, { ...this.spec, ...hooks.spec }, 'ops@test'), hooks);
  }

  rollBack(hooks: RunHooks = {}) {
    return this.kernel.run(() => {
      const { engine, options } = this.command(hooks);
      return rollBack(engine, { ...this.spec, ...hooks.spec }, options);
    });
  }

  finalize(hooks: RunHooks = {}) {
    return this.kernel.run(() => {
      const { engine, options } = this.command(hooks);
      return finalize(engine, { ...this.spec, ...hooks.spec }, { ...options, by: 'ops@test' });
    });
  }

  reopen(hooks: RunHooks = {}) {
    return this.kernel.run(() => {
      const { engine, options } = this.command(hooks);
      return reopen(engine, { ...this.spec, ...hooks.spec }, { ...options, by: 'ops@test' });
    });
  }

  /** Any other command: `work` gets what a run is given. */
  as<T>(work: (engine: Engine, options: RunOptions) => Promise<T>, hooks: RunHooks = {}): Promise<T> {
    return this.kernel.run(() => this.startAs(work, hooks));
  }

  /** As `as`, for use inside `run`, beside others. */
  startAs<T>(work: (engine: Engine, options: RunOptions) => Promise<T>, hooks: RunHooks = {}): Promise<T> {
    const { engine, options } = this.command(hooks);
    return work(engine, options);
  }

  status() {
    return this.run((engine) => readStatus(engine, migration));
  }

  async deadLetters(): Promise<readonly DeadLetter[]> {
    return (await this.status()).deadLetters;
  }

  private startSlice<T>(
    hooks: RunHooks,
    timeoutMs: number,
    work: (engine: Engine, request: { deadline: Deadline; holder: string; command: string }) => Promise<T>,
  ): Promise<T> {
    return this.startAs(async (engine, { holder, command }) => {
      const deadline = new Deadline(engine.clock, timeoutMs);
      try {
        return await work(engine, { deadline, holder, command });
      } finally {
        await deadline.close();
      }
    }, hooks);
  }

  private command(hooks: RunHooks) {
    const interrupts = new AbortController();
    const { engine, name } = this.engine(hooks, () => interrupts.abort('SIGINT'));
    const { lockTimeoutMs = 0, holderIsGone = () => false } = hooks;
    return { engine, options: { holder: name, command: name, lockTimeoutMs, holderIsGone, signal: interrupts.signal } };
  }

  private engine({ during, source, target, state }: RunHooks, interrupt: () => void) {
    this.processes += 1;
    const name = `process ${this.processes}`;
    const random = new Prng(name);
    const outside = { kernel: this.kernel, weather: new Weather(random, calm), limbo: new Limbo(this.kernel, random) };
    const process = new SimProcess(outside, name, random, 0);
    const { clock } = process;
    const emit = (message: Message): void => {
      this.messages.push(message);
      during?.(message, interrupt, () => process.crash());
    };
    const engine: Engine = {
      source: source ?? this.source,
      target: target ?? this.target,
      state: state ?? this.state,
      scratch: this.scratch,
      clock,
      random,
      host: { emit },
      replicate: { back: this.source, primary: this.primary },
    };
    return { engine, name };
  }
}

function valuesUnder(store: MemoryStore, prefix: string): Readonly<Record<string, string>> {
  const values: Record<string, string> = {};
  for (const [key, { value }] of store.snapshot()) {
    if (key.startsWith(prefix)) values[(keyToText(key) ?? key).slice(prefix.length)] = textOf(value) ?? '';
  }
  return values;
}

/** The error that a flow ends in. */
export async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => null,
    (error: unknown) => error,
  );
}
