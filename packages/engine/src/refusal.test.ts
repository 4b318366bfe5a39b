/**
 * Goal: a plan that would be refused again is refused without a record being read, and whatever may have solved it makes
 * the next command look. Method: a source with a record over the target's limit; then one change at a time.
 */
import { keyFromText, type MigrationSpec } from '@keyferry/core';
import type { MemoryStoreOptions } from '@keyferry/core/testing';
import { describe, expect, it } from 'vitest';
import { bytes, failureOf, Stage } from '../testing/stage.ts';
import { assertNotRefused, rememberRefusal } from './refusal.ts';

const limited = { recordBytesMax: 100 };

async function refused(source: MemoryStoreOptions = {}, spec: Partial<MigrationSpec> = {}): Promise<Stage> {
  const stage = new Stage({ source, target: { capabilities: limited }, spec });
  stage.fillSource({ good: '1', bad: 'x'.repeat(500) });
  const { plan } = (await stage.plan()).reader();
  expect(plan).toMatchObject({ applyable: false, findings: [{ code: 'value.too-large' }] });
  await stage.run((engine) => rememberRefusal(engine, stage.spec, plan));
  return stage;
}

const next = (stage: Stage, spec: Partial<MigrationSpec> = {}) =>
  failureOf(stage.run((engine) => assertNotRefused(engine, { ...stage.spec, ...spec })));

describe('a plan that was refused', () => {
  it('is refused again while nothing moved, however often it is asked, and no record is read for it', async () => {
    const stage = await refused();
    stage.putTarget('own', 'what lies in the target does not help');
    const scans = () => stage.messages.filter(({ code }) => code === 'plan.scanning').length;
    const before = scans();
    for (const again of [await next(stage), await next(stage)]) {
      expect(again).toMatchObject({
        code: 'plan.refused-before',
        details: { migration: 'shop', source: 'old', findings: ['value.too-large'] },
      });
    }
    expect(scans()).toBe(before);
  });

  it.each<{ name: string; change: (stage: Stage) => Partial<MigrationSpec> }>([
    {
      name: 'the source moved',
      change: (stage) => {
        stage.source.put(keyFromText('src/bad'), bytes('short'));
        return {};
      },
    },
    { name: 'the configuration is another', change: () => ({ configDigest: 'other' }) },
    { name: 'the rules are others', change: () => ({ rulesDigest: 'other' }) },
    { name: 'keyferry is another', change: () => ({ keyferryVersion: '0.2.0' }) },
    {
      name: 'the plan would have expired',
      change: (stage) => {
        stage.kernel.nowMs += stage.spec.planMaxAgeMs;
        return {};
      },
    },
  ])('is made anew once $name', async ({ change }) => {
    const stage = await refused();
    expect(await next(stage, change(stage))).toBeNull();
  });

  it('is not remembered of a source that could be another one, nor of a program that may answer otherwise', async () => {
    expect(await next(await refused({ identity: null }))).toBeNull();
    const program = {} as NonNullable<MigrationSpec['program']>;
    const stage = await refused();
    const other = new Stage({ target: { capabilities: limited } });
    other.fillSource({ bad: 'x'.repeat(500) });
    const { plan } = (await other.plan()).reader();
    await other.run((engine) => rememberRefusal(engine, { ...other.spec, program }, plan));
    expect(await next(other)).toBeNull();
    expect(await next(stage)).toMatchObject({ code: 'plan.refused-before' });
  });

  it('is not remembered where only the target is in the way, which may change without a word', async () => {
    const stage = new Stage({ spec: { onConflict: 'fail' } });
    stage.fillSource({ a: '1' });
    stage.putTarget('a', 'other');
    const { plan } = (await stage.plan()).reader();
    expect(plan).toMatchObject({ applyable: false, findings: [{ code: 'conflict.found' }] });
    await stage.run((engine) => rememberRefusal(engine, stage.spec, plan));
    expect(await next(stage)).toBeNull();
  });
});
