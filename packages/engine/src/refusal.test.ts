/**
 * Goal: a plan that would be refused again is refused without a store being read whole, and whatever may have solved it
 * makes the next command look. Method: for each finding that is remembered a source that causes it; then one change at a
 * time, beside it and of it.
 */
import { customRule, keyFromText, renamePattern, type MigrationSpec } from '@keyferry/core';
import { MemoryStore } from '@keyferry/core/testing';
import { describe, expect, it } from 'vitest';
import { bytes, failureOf, Stage, textOf, type StageOptions } from '../testing/stage.ts';
import { assertNotRefused, rememberRefusal } from './refusal.ts';

const limited = { recordBytesMax: 100 };
const large = 'x'.repeat(500);

async function refused(options: StageOptions, values: Readonly<Record<string, string>>): Promise<Stage> {
  const stage = new Stage(options);
  stage.fillSource({ good: '1', ...values });
  const { plan } = (await stage.plan()).reader();
  expect(plan.applyable).toBe(false);
  await stage.run((engine) => rememberRefusal(engine, stage.spec, plan));
  return stage;
}

const tooLarge = (): Promise<Stage> => refused({ target: { capabilities: limited } }, { bad: large });

const next = (stage: Stage, spec: Partial<MigrationSpec> = {}, hooks: Parameters<Stage['run']>[1] = {}) =>
  failureOf(stage.run((engine) => assertNotRefused(engine, { ...stage.spec, ...spec }), hooks));

const inSource = (stage: Stage, name: string, value: string) =>
  stage.source.put(keyFromText(`src/${name}`), bytes(value));

const refusesBad = customRule('./no-bad.ts', {
  transform: (record) =>
    textOf(record.value)?.startsWith('bad') === true ? { kind: 'failed', why: 'bad' } : { kind: 'kept', record },
  inverse: (record) => ({ kind: 'kept', record }),
  keepsKeys: true,
});
const noText = ({ value }: { readonly value: Uint8Array }) => (textOf(value) === 'no' ? 'it says no' : null);

interface Case {
  readonly code: string;
  readonly options: StageOptions;
  readonly values: Readonly<Record<string, string>>;
  readonly solved: (stage: Stage) => void;
}

const cases: readonly Case[] = [
  {
    code: 'value.too-large',
    options: { target: { capabilities: limited } },
    values: { bad: large },
    solved: (stage) => inSource(stage, 'bad', 'short'),
  },
  {
    code: 'value.too-large',
    options: { target: { capabilities: limited }, spec: { transform: renamePattern('dst/b(.*)', 'dst/z$1') } },
    values: { bad: large },
    solved: (stage) => inSource(stage, 'bad', 'short'),
  },
  {
    code: 'record.unfit',
    options: { target: { capabilities: { unfit: noText } } },
    values: { bad: 'no' },
    solved: (stage) => inSource(stage, 'bad', 'yes'),
  },
  {
    code: 'key.reserved',
    options: { target: { capabilities: { reservedPrefix: keyFromText('dst/own/') } } },
    values: { 'own/1': '1' },
    solved: (stage) => stage.source.delete(keyFromText('src/own/1')),
  },
  {
    code: 'rule.failed',
    options: { spec: { transform: refusesBad } },
    values: { a: 'bad' },
    solved: (stage) => inSource(stage, 'a', 'good'),
  },
  {
    code: 'key.outside-prefix',
    options: { spec: { transform: renamePattern('dst/b(.*)', 'elsewhere/$1') } },
    values: { bad: '1' },
    solved: (stage) => stage.source.delete(keyFromText('src/bad')),
  },
  {
    code: 'key.collision',
    options: { spec: { transform: renamePattern('dst/x(.*)', 'dst/$1') } },
    values: { a: '1', xa: '2' },
    solved: (stage) => stage.source.delete(keyFromText('src/xa')),
  },
];

describe('a plan that was refused', () => {
  it.each(cases)('for $code is refused again by a look at what blocks it, until that is gone', async (each) => {
    const stage = await refused(each.options, each.values);
    const read: string[] = [];
    for (let n = 1; n <= 2; n += 1) {
      inSource(stage, `other ${n}`, 'what others write meanwhile does not help');
      stage.putTarget(`own ${n}`, 'nor what lies in the target');
      expect(await next(stage, {}, { during: ({ code }) => read.push(code) })).toMatchObject({
        code: 'plan.refused-before',
        details: { migration: 'shop', source: 'old', findings: [each.code], still: { code: each.code } },
      });
    }
    expect(read).not.toContain('plan.scanning');
    each.solved(stage);
    expect(await next(stage)).toBeNull();
  });

  it.each<{ name: string; spec?: Partial<MigrationSpec>; afterMs?: number }>([
    { name: 'the configuration is another', spec: { configDigest: 'other' } },
    { name: 'the rules are others', spec: { rulesDigest: 'other' } },
    { name: 'keyferry is another', spec: { keyferryVersion: '0.2.0' } },
    { name: 'the plan would have expired', afterMs: 86_400_000 },
  ])('is made anew once $name', async ({ spec = {}, afterMs = 0 }) => {
    const stage = await tooLarge();
    stage.kernel.nowMs += afterMs;
    expect(await next(stage, spec)).toBeNull();
  });

  it('is made anew once the target takes the record', async () => {
    const stage = await tooLarge();
    const target = new MemoryStore({ name: 'new', sharedWith: stage.target, capabilities: { recordBytesMax: null } });
    expect(await next(stage, {}, { target })).toBeNull();
    expect(await next(stage)).toMatchObject({ code: 'plan.refused-before' });
  });

  it('is made anew once somebody put the record into the target by another way', async () => {
    const stage = await tooLarge();
    stage.putTarget('bad', large);
    expect(await next(stage)).toBeNull();
    expect((await stage.plan()).reader().plan.applyable).toBe(true);
  });

  it('is told by the status, until it is forgotten or an apply begins', async () => {
    const stage = await tooLarge();
    expect((await stage.status()).refusal).toMatchObject({ findings: ['value.too-large'] });
    stage.kernel.nowMs += 1000;
    inSource(stage, 'bad', 'short');
    expect(await stage.apply(await stage.plan())).toMatchObject({ outcome: 'done' });
    expect((await stage.status()).refusal).toBeNull();
    const other = await tooLarge();
    other.kernel.nowMs += other.spec.planMaxAgeMs;
    expect((await other.status()).refusal).toBeNull();
  });

  it('is not remembered of a program, which may answer otherwise, nor of a part of a migration', async () => {
    const stage = new Stage({ target: { capabilities: limited } });
    stage.fillSource({ bad: large });
    const { plan } = (await stage.plan()).reader();
    const program = {} as NonNullable<MigrationSpec['program']>;
    const selection = {} as NonNullable<MigrationSpec['selection']>;
    for (const part of [{ program }, { selection }]) {
      await stage.run((engine) => rememberRefusal(engine, { ...stage.spec, ...part }, plan));
    }
    expect(await next(stage)).toBeNull();
  });

  it('is not remembered where it takes a whole target to see what is in the way', async () => {
    const conflicting = new Stage({ spec: { onConflict: 'fail' } });
    conflicting.fillSource({ a: '1' });
    conflicting.putTarget('a', 'other');
    const { plan } = (await conflicting.plan()).reader();
    expect(plan).toMatchObject({ applyable: false, findings: [{ code: 'conflict.found' }] });
    await conflicting.run((engine) => rememberRefusal(engine, conflicting.spec, plan));
    expect(await next(conflicting)).toBeNull();
  });
});
