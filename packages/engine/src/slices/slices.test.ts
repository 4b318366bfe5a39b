/**
 * Goal: a migration that functions do slice by slice ends as one that a run does, says at each step what is left, and is
 * kept apart from whoever writes it otherwise.
 * Method: the real engine on memory stores in virtual time; slow requests by a target that sleeps, so that deadlines come.
 */
import {
  chunkId,
  keyFromText,
  listPrices,
  newChunk,
  noCounts,
  type LockState,
  type ReadableStore,
  type RunId,
  type RunRecord,
  type StoreView,
  type TargetStore,
  type WorkerId,
} from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { failureOf, Stage, type StageOptions } from '../../testing/stage.ts';
import { MemoryPlan } from '../../testing/sim/memory-plan.ts';
import { readReport, readStatus, type Engine, type RunOptions } from '../index.ts';
import { summarizeChunks } from '../backfill-summary.ts';
import { withSession } from '../session.ts';
import { attemptScope, locksScope } from '../state-items.ts';
import { exportState } from '../transfer.ts';
import { backfillSlice } from './backfill-slice.ts';
import { Deadline } from './deadline.ts';
import { dispatchSlice, spansOf } from './dispatch-slice.ts';
import { followFunctions } from './follow.ts';
import { SliceHome, type SliceRequest } from './slice.ts';
import { readSubmission, submitPlan } from './submit.ts';
import { sweepSlice } from './sweep-slice.ts';
import { verifySlice } from './verify-slice.ts';

const keyCount = 95;
const chunkCount = 10;

/** How long requests take, and how many records a page has. */
interface Slowness {
  readonly writeMs?: number;
  readonly scanMs?: number;
  readonly pageKeysMax?: number;
  /** What the target takes; less than the plan thought. */
  readonly recordBytesMax?: number;
}

/** A migration of ten chunks, and the slices on it as a schedule would call them. */
class Serverless {
  readonly stage: Stage;
  readonly plan: MemoryPlan;
  slowness: Slowness = {};

  private constructor(stage: Stage, plan: MemoryPlan) {
    this.stage = stage;
    this.plan = plan;
  }

  static async planned(options: StageOptions = {}): Promise<Serverless> {
    const stage = new Stage(options);
    stage.fillSourceWith(keyCount);
    return await Serverless.on(stage);
  }

  static async on(stage: Stage): Promise<Serverless> {
    return new Serverless(stage, await stage.plan());
  }

  submit(plan = this.plan) {
    return this.stage.run((engine) =>
      submitPlan(engine, plan.reader(), { by: 'ada@one', accept: [], appliedAs: 'shop.kfplan' }),
    );
  }

  async begin(): Promise<void> {
    await this.submit();
    await this.dispatch();
  }

  dispatch() {
    return this.slice(60_000, (engine, request) =>
      dispatchSlice(engine, this.stage.spec, { ...request, command: 'dispatch', spansMax: 4 }),
    );
  }

  backfill(timeoutMs = 60_000, chunks: readonly number[] | null = null) {
    return this.stage.kernel.run(() => this.startBackfill(timeoutMs, chunks));
  }

  /** For use inside `stage.run`, beside others. */
  startBackfill(timeoutMs = 60_000, chunks: readonly number[] | null = null) {
    return this.start(timeoutMs, (engine, request) =>
      backfillSlice(engine, this.stage.spec, { ...request, chunks: chunks?.map(chunkId) ?? null }),
    );
  }

  verify(timeoutMs = 60_000, again = false, chunks: readonly number[] | null = null) {
    return this.slice(timeoutMs, (engine, request) =>
      verifySlice(engine, this.stage.spec, {
        ...request,
        command: 'verify',
        chunks: chunks?.map(chunkId) ?? null,
        again,
      }),
    );
  }

  sweep() {
    return this.slice(60_000, (engine, request) => sweepSlice(engine, this.stage.spec, request));
  }

  status() {
    return this.stage.run((engine) => readStatus(engine, this.stage.spec.migration));
  }

  async report(): Promise<RunRecord['verify']> {
    const { run } = await this.stage.run((engine) => readReport(engine, this.stage.spec.migration));
    return run?.verify ?? null;
  }

  /** As if a worker of another function had it. */
  async claimFor(worker: string, index: number, leaseMs: number): Promise<void> {
    const { state, spec, kernel } = this.stage;
    const chunk = chunkId(index);
    const scope = attemptScope(spec.migration, 1);
    const before = await state.read('chunk', scope, chunk);
    const leaseEndsAtMs = kernel.nowMs + leaseMs;
    const claimed = {
      ...newChunk(chunk),
      phase: 'claimed',
      token: 1,
      worker: worker as WorkerId,
      leaseEndsAtMs,
    } as const;
    await state.write('chunk', scope, chunk, claimed, before?.version ?? 'absent');
  }

  /** As time does, where its worker does not renew it. */
  async endLease(index: number): Promise<void> {
    const { state, spec, kernel } = this.stage;
    const chunk = chunkId(index);
    const scope = attemptScope(spec.migration, 1);
    const before = await state.read('chunk', scope, chunk);
    if (before === null) throw new TypeError(`there is no chunk ${chunk}`);
    const ended = { ...before.item, leaseEndsAtMs: kernel.nowMs - 60_000 };
    await state.write('chunk', scope, chunk, ended, before.version);
  }

  private slice<T>(timeoutMs: number, work: (engine: Engine, request: SliceRequest) => Promise<T>): Promise<T> {
    return this.stage.kernel.run(() => this.start(timeoutMs, work));
  }

  private start<T>(timeoutMs: number, work: (engine: Engine, request: SliceRequest) => Promise<T>): Promise<T> {
    return this.stage.startAs(async (engine, { holder }: RunOptions) => {
      const deadline = new Deadline(engine.clock, timeoutMs);
      const home = new SliceHome();
      try {
        return await work(slowed(engine, this.slowness), { deadline, holder, home });
      } finally {
        await deadline.close();
        await home.close();
      }
    });
  }
}

function slowed(
  engine: Engine,
  { writeMs = 0, scanMs = 0, pageKeysMax = 1000, recordBytesMax = 1e9 }: Slowness,
): Engine {
  const { clock, source, target } = engine;
  const openView = async (
    store: ReadableStore,
    range: Parameters<ReadableStore['openView']>[0],
  ): Promise<StoreView> => {
    const view = await store.openView(range);
    return {
      position: view.position,
      close: () => view.close(),
      async *scan(part) {
        for await (const page of view.scan(part, { pageKeysMax })) {
          await clock.sleep(scanMs);
          yield page;
        }
      },
    };
  };
  const control: TargetStore['control'] = (migration) => {
    const plain = target.control(migration);
    return Object.assign(Object.create(plain) as typeof plain, {
      claimChunk: async (...args: Parameters<typeof plain.claimChunk>) => {
        const claimed = await plain.claimChunk(...args);
        if (claimed.kind === 'refused') return claimed;
        const write: typeof claimed.writer.write = async (changes) => {
          await clock.sleep(writeMs);
          const isFit = (change: (typeof changes)[number]): boolean =>
            change.kind === 'delete' || change.value.length <= recordBytesMax;
          const outcomes = await claimed.writer.write(changes.filter(isFit));
          let at = 0;
          return changes.map((change) =>
            isFit(change) ? (outcomes[at++] as (typeof outcomes)[number]) : { kind: 'refused', detail: 'too large' },
          );
        };
        return { kind: 'claimed', writer: { write } };
      },
    });
  };
  return {
    ...engine,
    source: Object.assign(Object.create(source) as typeof source, { openView: openView.bind(null, source) }),
    target: Object.assign(Object.create(target) as typeof target, { openView: openView.bind(null, target), control }),
  };
}

describe('a submitted plan', () => {
  it('is taken up, copied, compared and proven by functions', async () => {
    const functions = await Serverless.planned();
    await functions.submit();
    expect(await functions.dispatch()).toMatchObject({ outcome: 'more', next: 'backfill', spans: { length: 4 } });
    expect(await functions.backfill()).toMatchObject({
      outcome: 'done',
      attempt: 1,
      counts: { ...noCounts, written: keyCount },
      chunksDone: chunkCount,
      left: null,
    });
    expect(await functions.dispatch()).toMatchObject({ next: 'verify', chunks: { chunksDone: chunkCount } });
    expect(await functions.verify()).toMatchObject({ outcome: 'done', verdict: 'agree', deviations: [] });
    const { phase, counts, lock } = await functions.status();
    expect({ phase, counts, lock }).toEqual({
      phase: 'verified',
      counts: { ...noCounts, written: keyCount },
      lock: null,
    });
    expect(Object.keys(functions.stage.targetValues())).toHaveLength(keyCount);
    expect(await functions.dispatch()).toMatchObject({ outcome: 'idle', next: null });
    expect(await functions.backfill()).toMatchObject({ outcome: 'idle', why: 'it is verified' });
  });

  it('leaves none of its rows in the state once the attempt stands', async () => {
    const functions = await Serverless.planned();
    await functions.begin();
    const { entries } = await functions.stage.state.list('plan-rows', 'shop', { after: null, itemsMax: 10 });
    expect(entries).toEqual([]);
    const submission = await functions.stage.run((engine) => readSubmission(engine, functions.stage.spec.migration));
    expect(submission).toMatchObject({ by: 'ada@one', answer: { kind: 'taken', attempt: 1 } });
  });

  it('that is stale is refused with the reason, and nothing is written', async () => {
    const functions = await Serverless.planned();
    functions.stage.fillSource({ k0001: 'moved' });
    await functions.submit();
    expect(await functions.dispatch()).toMatchObject({ outcome: 'stopped', next: null });
    const submission = await functions.stage.run((engine) => readSubmission(engine, functions.stage.spec.migration));
    expect(submission?.answer).toMatchObject({ kind: 'refused', code: 'plan.stale' });
    expect(functions.stage.targetValues()).toEqual({});
    expect(await functions.dispatch()).toMatchObject({ outcome: 'idle', why: 'no plan was applied yet' });
  });

  it('keeps another one waiting, and is taken once however often it is submitted', async () => {
    const functions = await Serverless.planned();
    await functions.submit();
    const other = await functions.stage.plan();
    expect(await failureOf(functions.submit(other))).toMatchObject({ code: 'plan.other-in-progress' });
    await functions.submit();
    await functions.dispatch();
    await functions.submit();
    await functions.backfill();
    expect(await functions.dispatch()).toMatchObject({ attempt: 1, next: 'verify' });
  });

  it('of a target that compares no fences is refused', async () => {
    const functions = await Serverless.planned({ target: { capabilities: { fencing: false } } });
    await functions.submit();
    expect(await functions.dispatch()).toMatchObject({
      outcome: 'stopped',
      why: expect.stringContaining('compares no fences') as unknown,
    });
  });
});

describe('whoever submitted a plan', () => {
  /** Follows to the end, while a lock lies there that nobody renews. @returns virtual milliseconds until it came */
  const followedFor = async (run: (last: string) => string): Promise<number> => {
    const functions = await Serverless.planned();
    await functions.begin();
    await functions.backfill();
    await functions.verify();
    const { state, kernel, spec } = functions.stage;
    const last = (await functions.stage.run((engine) => readReport(engine, spec.migration))).run?.run ?? '';
    const lock: LockState = {
      lock: 'lk-1' as LockState['lock'],
      holder: 'function verify',
      run: run(last) as RunId,
      command: 'verify',
      acquiredAtMs: kernel.nowMs,
      heartbeatAtMs: kernel.nowMs,
      leaseEndsAtMs: kernel.nowMs + leaseMs,
    };
    await state.write('lock', locksScope, spec.migration, lock, 'absent');
    const beganAtMs = kernel.nowMs;
    const { plan } = functions.plan.reader();
    const signal = new AbortController().signal;
    const ended = await functions.stage.run((engine) => followFunctions(engine, plan, { signal, deadLettersMax: 0 }));
    expect(ended).toMatchObject({ outcome: 'done', run: last });
    return kernel.nowMs - beganAtMs;
  };
  const leaseMs = 20_000;

  it('hears of its end once the function that proved it has given its lock back, or has died with it', async () => {
    expect(await followedFor((last) => last)).toBeGreaterThanOrEqual(leaseMs);
  });

  it('does not wait for a lock of somebody else', async () => {
    expect(await followedFor(() => 'somebody')).toBeLessThan(leaseMs);
  });
});

describe('a source that each function reads whole', () => {
  const costs = { sharedState: true, prices: listPrices };
  const planOf = async (scanMs: number, { readWhole = true, sharedState = true } = {}) => {
    const stage = new Stage({
      source: { capabilities: { readWhole } },
      spec: { costs: { ...costs, sharedState } },
    });
    stage.fillSourceWith(keyCount);
    const { source } = stage;
    const plain = source.openView.bind(source);
    source.openView = async (range) => {
      await stage.kernel.sleep(scanMs);
      return await plain(range);
    };
    const functions = await Serverless.on(stage);
    source.openView = plain;
    return functions;
  };
  const wholeOf = ({ plan }: Serverless) =>
    plan.reader().plan.findings.find(({ code }) => code === 'functions.source-whole');

  it('is told to whoever plans, with the timeout that it takes, once that is worth saying', async () => {
    expect(wholeOf(await planOf(59_000))).toBeUndefined();
    expect(wholeOf(await planOf(61_000))).toMatchObject({
      level: 'warning',
      accept: false,
      fix: 'give backfill and verify a timeout of at least 122 s, or apply it from a machine',
    });
    expect(wholeOf(await planOf(500_000))?.fix).toContain('keyferry apply FILE');
  });

  it('is no matter where it is read page by page, or where no function could be at work', async () => {
    expect(wholeOf(await planOf(500_000, { readWhole: false }))).toBeUndefined();
    expect(wholeOf(await planOf(500_000, { sharedState: false }))).toBeUndefined();
  });

  it('is refused where no function could ever read it', async () => {
    const functions = await planOf(900_000);
    await functions.submit();
    expect(await functions.dispatch()).toMatchObject({
      outcome: 'stopped',
      why: expect.stringContaining('would read its source whole, which took 900 s') as unknown,
    });
    expect(functions.stage.targetValues()).toEqual({});
    const byPage = await planOf(900_000, { readWhole: false });
    await byPage.submit();
    expect(await byPage.dispatch()).toMatchObject({ outcome: 'more', next: 'backfill' });
  });
});

describe('a backfill slice', () => {
  it('leaves an attempt alone that nobody gave to functions', async () => {
    const functions = await Serverless.planned();
    expect(await failureOf(functions.stage.apply(functions.plan, { chunksMax: 1 }))).toMatchObject({
      code: 'run.stopped',
    });
    expect(await functions.backfill()).toMatchObject({
      outcome: 'idle',
      why: 'its plan was not submitted to functions',
    });
    await functions.begin();
    expect(await functions.backfill()).toMatchObject({ outcome: 'done' });
  });

  it('stops before its deadline at a checkpoint, and the next one goes on behind it', async () => {
    const functions = await Serverless.planned({ spec: { workers: 1 } });
    await functions.begin();
    functions.slowness = { writeMs: 300 };
    const startedAtMs = functions.stage.kernel.nowMs;
    const first = await functions.backfill(2500);
    expect(first.outcome).toBe('more');
    expect(functions.stage.kernel.nowMs - startedAtMs).toBeLessThan(2500);
    expect(first.counts.written).toBeGreaterThan(0);
    let [calls, written] = [1, first.counts.written];
    for (let slice = first; slice.outcome !== 'done'; calls += 1) {
      slice = await functions.backfill(2500);
      written += slice.counts.written;
    }
    expect(calls).toBeGreaterThan(1);
    expect(written).toBe(keyCount); // nothing was met twice
    expect(await functions.verify()).toMatchObject({ verdict: 'agree', deviations: [] });
  });

  it('does the chunks that it is given and says which of them are left', async () => {
    const functions = await Serverless.planned();
    await functions.begin();
    expect(await functions.backfill(60_000, [3, 4])).toMatchObject({ outcome: 'done', chunksDone: 2, left: [] });
    expect(await functions.backfill(60_000, [3, 5])).toMatchObject({ counts: { written: 10 }, left: [] });
    expect(await functions.backfill(60_000, [99])).toMatchObject({ outcome: 'waiting', left: ['c00099'] });
    await functions.backfill();
    await functions.verify();
    expect(await functions.backfill(60_000, [3])).toMatchObject({ outcome: 'idle', left: [] });
  });

  it('does not wait for chunks that others hold', async () => {
    const functions = await Serverless.planned();
    await functions.begin();
    await functions.claimFor('run_OTHER.w0', 4, 600_000);
    const startedAtMs = functions.stage.kernel.nowMs;
    expect(await functions.backfill()).toMatchObject({ outcome: 'waiting', why: '1 chunks are in other hands' });
    expect(functions.stage.kernel.nowMs - startedAtMs).toBeLessThan(10_000);
    expect(await functions.verify()).toMatchObject({ outcome: 'idle', why: '9 of 10 chunks are copied' });
  });

  it('is stopped by a pause and by a cancel', async () => {
    const functions = await Serverless.planned();
    await functions.begin();
    await functions.stage.run(() => functions.stage.request({ kind: 'pause' }));
    expect(await functions.backfill()).toMatchObject({ outcome: 'stopped', why: 'paused by ada@one' });
    await functions.stage.run(() => functions.stage.request({ kind: 'resume' }));
    await functions.stage.run(() => functions.stage.request({ kind: 'cancel' }));
    expect(await functions.backfill()).toMatchObject({ outcome: 'stopped', why: 'cancelled by ada@one' });
  });

  it('is stopped by the dead letters of those before it', async () => {
    const stage = new Stage({ spec: { runLimits: { ...new Stage().spec.runLimits, deadLettersMax: 1 }, workers: 1 } });
    stage.fillSourceWith(keyCount);
    for (const name of ['k0001', 'k0015', 'k0025']) stage.fillSource({ [name]: 'a value that is too long' });
    const functions = await Serverless.on(stage);
    await functions.begin();
    functions.slowness = { recordBytesMax: 20 };
    expect(await functions.backfill(60_000, [0])).toMatchObject({ outcome: 'done', counts: { deadLetters: 1 } });
    const second = await functions.backfill(60_000, [1]);
    expect(second.why).toMatch(/2 records .* became dead letters/);
    expect(await functions.backfill(60_000, [5])).toMatchObject({ outcome: 'stopped', counts: { written: 0 } });
  });

  it('takes its share of the rate', async () => {
    const limits = { ratePerSecond: 40, targetP99Ms: null, sourceP99Ms: null, deadLettersMax: 0, functions: 4 };
    const functions = await Serverless.planned({ spec: { runLimits: limits } });
    await functions.begin();
    const startedAtMs = functions.stage.kernel.nowMs;
    const { counts } = await functions.backfill(20_000);
    const perSecond = (counts.written * 1000) / (functions.stage.kernel.nowMs - startedAtMs);
    expect(perSecond).toBeGreaterThan(5);
    expect(perSecond).toBeLessThan(15);
  });

  it('ends where somebody rolls the migration back meanwhile', async () => {
    const functions = await Serverless.planned({ spec: { workers: 1 } });
    await functions.begin();
    await functions.backfill(60_000, [0, 1]);
    const state = functions.stage.state.database;
    const before = structuredClone(state.scope('migration', 'migrations'));
    await functions.stage.rollBack();
    // A function that joined before the rollback began still goes by what it read then.
    for (const [id, item] of before) state.scope('migration', 'migrations').set(id, item);
    expect(await functions.backfill()).toMatchObject({ outcome: 'stopped' });
    expect(functions.stage.targetValues()).toEqual({});
  });
});

describe('slices beside each other', () => {
  it('hold no lock: they share the chunks out, while others hold it and let go of it', async () => {
    const functions = await Serverless.planned({ spec: { workers: 1 } });
    const { stage } = functions;
    await functions.begin();
    functions.slowness = { writeMs: 500 };
    const [first, second] = await stage.run(async (engine) => {
      const slices = [functions.startBackfill(), functions.startBackfill()] as const;
      await engine.clock.sleep(700);
      // Whoever needs the lock for a moment gets it, and keeps nobody from copying.
      await stage.startAs((other, options) =>
        withSession(other, stage.spec, options, async () => await other.clock.sleep(1000)),
      );
      return await Promise.all(slices);
    });
    expect([first.counts.written > 0, second.counts.written > 0]).toEqual([true, true]);
    expect(first.counts.written + second.counts.written).toBe(keyCount);
    expect(await functions.verify()).toMatchObject({ verdict: 'agree', deviations: [] });
  });

  it('shut one out that stood still in the middle of a write for longer than its lease', async () => {
    const functions = await Serverless.planned({ spec: { workers: 1 } });
    const { stage } = functions;
    await functions.begin();
    functions.slowness = { writeMs: 5000 };
    const [late, next] = await stage.run(async (engine) => {
      const sleeping = functions.startBackfill(60_000, [0]);
      await engine.clock.sleep(1000);
      // As its clock stood still with it, it renews nothing: to the others its lease is over.
      await functions.endLease(0);
      functions.slowness = {};
      const taken = await functions.startBackfill(60_000, [0]);
      // Only the fence keeps the late one from this key now.
      stage.target.delete(keyFromText('dst/k0003'));
      return [await sleeping, taken];
    });
    expect(next).toMatchObject({ outcome: 'done', counts: { written: 10 } });
    expect(late.counts.written).toBe(0);
    expect(stage.messages.map(({ code }) => code)).toContain('chunk.lost');
    expect(Object.keys(stage.targetValues()).toSorted()).toEqual([0, 1, 2, 4, 5, 6, 7, 8, 9].map((i) => `k000${i}`));
    expect(await stage.run((engine) => summarizeChunks(engine, attemptScope(stage.spec.migration, 1)))).toMatchObject({
      counts: { written: 10 },
    });
  });
});

describe('an export of the state', () => {
  const exportOf = ({ stage }: Serverless): Promise<number> =>
    stage.as((engine, options) =>
      exportState(engine, stage.spec.migration, { ...options, keyferryVersion: '0.1.0' }, async () => undefined),
    );
  const control = ({ stage }: Serverless, kind: 'pause' | 'cancel') => stage.run(() => stage.request({ kind }));

  it('is refused while functions copy or compare, and nothing is written', async () => {
    const functions = await Serverless.planned();
    await functions.begin();
    const refused = { code: 'functions.at-work', details: { what: 'they were not paused' } };
    expect(await failureOf(exportOf(functions))).toMatchObject(refused);
    await functions.backfill();
    functions.slowness = { scanMs: 400, pageKeysMax: 5 };
    expect(await functions.verify(2000)).toMatchObject({ outcome: 'more' });
    expect(await failureOf(exportOf(functions))).toMatchObject(refused);
  });

  it('is refused after a pause as long as one still has a chunk, and then goes', async () => {
    const functions = await Serverless.planned();
    await functions.begin();
    await functions.backfill(60_000, [0]);
    await functions.claimFor('run_OTHER.w0', 4, 20_000);
    await control(functions, 'pause');
    expect(await failureOf(exportOf(functions))).toMatchObject({
      code: 'functions.at-work',
      details: { what: 'one still has its chunk' },
    });
    await functions.stage.run((engine) => engine.clock.sleep(23_000));
    expect(await exportOf(functions)).toBeGreaterThan(chunkCount);
  });

  it('needs no pause where nothing is left to do, or all was cancelled', async () => {
    const functions = await Serverless.planned();
    await functions.begin();
    await functions.backfill();
    await functions.verify();
    expect(await exportOf(functions)).toBeGreaterThan(chunkCount);
    const others = await Serverless.planned();
    await others.begin();
    await control(others, 'cancel');
    expect(await exportOf(others)).toBeGreaterThan(chunkCount);
  });
});

describe('a verify slice', () => {
  it('goes on at the key at which the one before it stopped', async () => {
    const one = { chunkKeysMax: 1000, chunkBytesMax: 1_000_000, createRowsMax: 1000 };
    const stage = new Stage({ spec: { limits: one, workers: 1 } });
    stage.fillSourceWith(keyCount);
    for (let i = 0; i < keyCount; i += 1) stage.putTarget(`j${String(i).padStart(4, '0')}`, 'of another');
    const functions = await Serverless.on(stage);
    await functions.begin();
    await functions.backfill();
    functions.slowness = { scanMs: 400, pageKeysMax: 10 };
    const ends = [];
    let last = null;
    for (let slice = await functions.verify(3000); ; slice = await functions.verify(3000)) {
      ends.push(slice.outcome);
      last = slice;
      if (slice.outcome === 'done') break;
    }
    expect(ends.length).toBeGreaterThan(2);
    expect(last).toMatchObject({ verdict: 'agree', deviations: [], verification: 1 });
    const report = await functions.report();
    expect(report).toMatchObject({ verdict: 'agree', targetOnly: keyCount, source: { count: keyCount } });
  });

  it('names what differs, and leaves the migration as applied', async () => {
    const functions = await Serverless.planned();
    await functions.begin();
    await functions.backfill();
    functions.stage.putTarget('k0042', 'other');
    expect(await functions.verify()).toMatchObject({
      verdict: 'differ',
      phase: 'applied',
      deviations: ['1 key differs between the sides'],
    });
    expect(await functions.report()).toMatchObject({
      differences: [{ key: { text: 'dst/k0042' }, what: 'value differs' }],
    });
    expect(await functions.verify()).toMatchObject({ outcome: 'done', verdict: 'differ' });
    functions.stage.putTarget('k0042', 'value 42');
    expect(await functions.verify(60_000, true)).toMatchObject({
      verdict: 'agree',
      phase: 'verified',
      verification: 2,
    });
  });

  it('finds a source that was written to while functions copied it', async () => {
    const functions = await Serverless.planned();
    await functions.begin();
    await functions.backfill(60_000, [0, 1, 2]);
    functions.stage.fillSource({ k0090: 'moved' });
    await functions.backfill();
    expect(await functions.verify()).toMatchObject({
      phase: 'applied',
      deviations: expect.arrayContaining(['the source is not as the plan saw it']) as unknown,
    });
  });

  it('does what it is given, and the one that finds all of it done closes', async () => {
    const functions = await Serverless.planned();
    await functions.begin();
    await functions.backfill();
    const half = await functions.verify(60_000, false, [0, 1, 2, 3, 4]);
    expect(half).toMatchObject({ chunksDone: 5, left: [], verdict: null });
    expect(await functions.verify(60_000, false, [5, 6, 7, 8, 9])).toMatchObject({
      verdict: 'agree',
      phase: 'verified',
    });
  });
});

describe('a sweep', () => {
  it('frees chunks whose worker is gone, and says since when nothing moves', async () => {
    const functions = await Serverless.planned();
    await functions.begin();
    await functions.claimFor('run_DEAD.w0', 2, 20_000);
    await functions.backfill(60_000, [0, 1]);
    expect(await functions.sweep()).toMatchObject({ freed: [], next: 'backfill', chunksDone: 2, stillMs: 0 });
    await functions.stage.run(() => functions.stage.kernel.sleep(60_000));
    const later = await functions.sweep();
    expect(later).toMatchObject({ freed: ['c00002'], perSecond: 0, counts: { written: 20 }, total: keyCount });
    expect(later.stillMs).toBeGreaterThanOrEqual(60_000);
    await functions.backfill();
    const then = await functions.sweep();
    expect([then.next, then.perSecond > 0, then.stillMs]).toEqual(['verify', true, 0]);
  });
});

describe('spans', () => {
  it.each([
    { chunks: 10, max: 4, sizes: [2, 3, 2, 3] },
    { chunks: 3, max: 8, sizes: [1, 1, 1] },
    { chunks: 1, max: 1, sizes: [1] },
  ])('share $chunks chunks out in $max', ({ chunks, max, sizes }) => {
    const spans = spansOf(chunks, max).map(
      ({ first, last }) => [Number(first.slice(1)), Number(last.slice(1))] as const,
    );
    expect(spans.map(([first, last]) => last - first + 1)).toEqual(sizes);
    expect(spans.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i))).toEqual(
      Array.from({ length: chunks }, (_, i) => i),
    );
  });
});
