/**
 * Goal: a program among the rules decides what is planned, written and verified like any rule; what it does not say is a
 * finding, and one that answers otherwise at apply stops it before the first write.
 * Method: the whole flow on memory stores, with programs that answer in pages of two, late and in reverse.
 */
import {
  encodeBase64,
  compose,
  keyFromText,
  selectKeys,
  type Moving,
  type PlanDocument,
  type ProgramAnswer,
  type ProgramOrigin,
  type ProgramRecord,
  type RecordProgram,
} from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { bytes, failureOf, Stage, textOf } from '../testing/stage.ts';

type Answering = (record: ProgramRecord, of: ProgramOrigin) => ProgramAnswer;

const kept =
  (...made: ((record: ProgramRecord) => Moving)[]): Answering =>
  (record, of) => ({ kind: 'kept', of, records: made.map((make) => make(record)) });
const asItIs = kept((record) => record);
const renamed =
  (from: string, to: string): ((record: ProgramRecord) => Moving) =>
  ({ key, value, expiresAtMs }) => ({ key: keyFromText(key.replace(from, to)), value, expiresAtMs });

/** Holds all answers back to the end of its input, and then gives them in reverse. */
function program(answer: Answering): RecordProgram {
  return {
    name: 'program ./test',
    async *run(pages) {
      const answers: ProgramAnswer[] = [];
      for await (const page of pages) {
        for (const input of page) {
          if (input.kind !== 'record') continue;
          const { sourceKey, version, key, value } = input;
          answers.unshift(answer(input, { sourceKey, version, bytes: key.length + value.length }));
        }
      }
      for (let at = 0; at < answers.length; at += 2) yield answers.slice(at, at + 2);
    },
  };
}

const values = { a: '1', b: '2', 'b/c': '3', d: '4', e: '5' };

function stageWith(answer: Answering, more: Partial<Stage['spec']> = {}): Stage {
  const stage = new Stage({ spec: { program: { program: program(answer), after: null }, ...more } });
  stage.fillSource(values);
  return stage;
}

const planOf = async (stage: Stage): Promise<PlanDocument> => (await stage.plan()).reader().plan;

describe('a program among the rules', () => {
  it('decides what is written, in whatever order it answers, and verify compares with that', async () => {
    const stage = stageWith((record, of) => {
      if (record.key.endsWith('d')) return { kind: 'dropped', of };
      return kept(renamed('dst/', 'dst/z-'), renamed('dst/', 'dst/a-'))(record, of);
    });
    const archive = await stage.plan();
    const { plan } = archive.reader();
    expect(plan).toMatchObject({
      rules: ['program ./test'],
      order: 'spilled',
      wayBack: 'none',
      applyable: true,
      totals: { notCarried: { 'rule.dropped': 1 }, actions: { create: { keys: 8 } } },
    });
    expect(await stage.apply(archive)).toMatchObject({ outcome: 'done', counts: { written: 8, notCarried: 1 } });
    const kinds = Object.entries(values).filter(([name]) => name !== 'd');
    expect(stage.targetValues()).toEqual(
      Object.fromEntries(
        kinds.flatMap(([name, value]) => [
          [`a-${name}`, value],
          [`z-${name}`, value],
        ]),
      ),
    );
    expect(await stage.verifyApplied()).toMatchObject({ deviations: [], result: { verdict: 'agree' } });
  });

  it('stands between the rules before it, which it is not told of what they leave out, and those behind it', async () => {
    const seen: string[] = [];
    const answer: Answering = (record, of) => {
      seen.push(`${record.key}=${textOf(record.value) ?? ''}`);
      return asItIs(record, of);
    };
    const stage = new Stage({
      spec: {
        transform: compose([selectKeys('exclude dst/a', (key) => key !== 'dst/a'), encodeBase64()]),
        program: { program: program(answer), after: compose([encodeBase64()]) },
      },
    });
    stage.fillSource({ a: '1', b: '2' });
    const plan = await planOf(stage);
    expect(seen).toEqual(['dst/b=Mg==']);
    expect(plan).toMatchObject({
      rules: ['exclude dst/a', 'value to base64', 'program ./test', 'value to base64'],
      totals: { notCarried: { 'rule.excluded': 1 }, actions: { create: { keys: 1 } } },
    });
    await stage.apply(await stage.plan());
    expect(stage.targetValues()).toEqual({ b: 'TWc9PQ==' });
  });

  it.each<{ name: string; answer: Answering; finding: object }>([
    {
      name: 'a record that it refuses',
      answer: (record, of) => (record.key.endsWith('d') ? { kind: 'failed', of, detail: 'no d' } : asItIs(record, of)),
      finding: {
        code: 'rule.failed',
        count: 1,
        cases: [expect.objectContaining({ key: { text: 'src/d' }, detail: 'no d' })],
      },
    },
    {
      name: 'a key out of the prefix of the target',
      answer: kept(renamed('dst/', 'elsewhere/')),
      finding: { code: 'key.outside-prefix', count: 5 },
    },
    {
      name: 'several records that become one key',
      answer: kept(({ value }) => ({ key: keyFromText('dst/one'), value, expiresAtMs: null })),
      finding: { code: 'key.collision', count: 5 },
    },
    {
      name: 'one record that becomes one key twice',
      answer: kept(
        (record) => record,
        (record) => record,
        (record) => record,
      ),
      finding: {
        code: 'key.collision',
        count: 15,
        cases: expect.arrayContaining([expect.objectContaining({ key: { text: 'dst/a' }, count: 3 })]) as unknown,
      },
    },
  ])('blocks the plan with $name', async ({ answer, finding }) => {
    const plan = await planOf(stageWith(answer));
    expect(plan.applyable).toBe(false);
    expect(plan.findings).toEqual(expect.arrayContaining([expect.objectContaining(finding)]));
  });

  it('that does not say which records its answers are about is accepted by name or not applied', async () => {
    const stage = stageWith((record) => ({ kind: 'untraced', records: [record] }));
    const archive = await stage.plan();
    expect(archive.reader().plan.findings).toEqual([
      expect.objectContaining({ code: 'rule.untraced', count: 5, accept: true, level: 'warning' }),
    ]);
    expect(await failureOf(stage.apply(archive))).toMatchObject({ code: 'plan.unaccepted' });
    expect(await stage.apply(archive, { accept: ['rule.untraced'] })).toMatchObject({ outcome: 'done' });
    expect(stage.targetValues()).toEqual(values);
  });

  it('that answers otherwise at apply stops it, although nothing moved, and nothing is written', async () => {
    let runs = 0;
    const stage = stageWith((record, of) => {
      if (record.key === 'dst/a') runs += 1;
      return kept(({ key, expiresAtMs }) => ({ key, value: bytes(`run ${runs}`), expiresAtMs }))(record, of);
    });
    const archive = await stage.plan();
    const failed = await failureOf(stage.apply(archive));
    expect(failed).toMatchObject({
      code: 'program.unsteady',
      details: { program: 'program ./test', keysTotal: expect.any(Number) as number },
    });
    expect(stage.targetValues()).toEqual({});
  });

  it('makes a plan stale like any rule when the source moved', async () => {
    const stage = stageWith(asItIs);
    const archive = await stage.plan();
    stage.source.put(keyFromText('src/late'), bytes('late'));
    expect(await failureOf(stage.apply(archive))).toMatchObject({ code: 'plan.stale' });
  });

  it('that fails at plan leaves no plan and no scratch behind', async () => {
    const stage = stageWith(() => {
      throw new RangeError('broken');
    });
    await expect(stage.plan()).rejects.toThrow('broken');
    expect(stage.scratch.open).toBe(0);
  });

  it('that refuses a record while the others are copied makes a dead letter of it, and is asked again about that', async () => {
    const stage = stageWith((record, of) =>
      textOf(record.value) === 'bad' ? { kind: 'failed', of, detail: 'bad' } : asItIs(record, of),
    );
    stage.fillSourceWith(25);
    const archive = await stage.plan();
    let done = 0;
    const stopped = stage.apply(archive, {
      during: ({ code }, interrupt) => {
        if (code === 'chunk.done' && (done += 1) === 1) interrupt();
      },
    });
    expect(await failureOf(stopped)).toMatchObject({ code: 'run.interrupted' });
    stage.source.put(keyFromText('src/k0024'), bytes('bad'));
    expect(await stage.apply(archive)).toMatchObject({ outcome: 'deviated', counts: { deadLetters: 1 } });
    expect(await stage.deadLetters()).toMatchObject([{ sourceKey: { text: 'src/k0024' }, reason: 'rule.failed: bad' }]);
    stage.source.put(keyFromText('src/k0024'), bytes('value 24'));
    expect(await stage.retryLetters()).toMatchObject({ tried: { written: 1, deadLetters: 0 } });
    expect(stage.targetValues()).toMatchObject({ k0024: 'value 24', a: '1' });
  });

  it('is run on what a resumed apply reads, and one that answers otherwise by then is found out', async () => {
    let suffix = '';
    const stage = stageWith(
      kept(({ key, value }) => ({ key, value: bytes(`${textOf(value) ?? ''}${suffix}`), expiresAtMs: null })),
    );
    stage.fillSourceWith(25);
    const archive = await stage.plan();
    let done = 0;
    const stopped = stage.apply(archive, {
      during: ({ code }, interrupt) => {
        if (code === 'chunk.done' && (done += 1) === 1) interrupt();
      },
    });
    expect(await failureOf(stopped)).toMatchObject({ code: 'run.interrupted' });
    suffix = '!';
    const applied = await stage.apply(archive);
    expect([applied.resumed, applied.outcome]).toEqual([true, 'deviated']);
    expect(applied.deviations).not.toEqual([]);
  });
});
