/**
 * Goal: state that moves to another store is all there or not at all, and goes on there as if nothing had happened.
 * Method: export, import into an empty store, and the next command there; broken files; an import that died.
 */
import { KeyferryError, type MigrationId, type StateKind } from '@keyferry/core';
import { MemoryStateStore } from '@keyferry/core/testing';
import { describe, expect, it } from 'vitest';
import { failureOf, Stage, type RunHooks } from '../testing/stage.ts';
import { exportState, importState, parseState } from './transfer.ts';

const migration = 'shop' as MigrationId;

async function exported(stage: Stage): Promise<string[]> {
  const lines: string[] = [];
  await stage.as((engine, options) =>
    exportState(engine, migration, { ...options, keyferryVersion: '0.1.0' }, async (document) => {
      lines.push(JSON.stringify(document));
    }),
  );
  return lines;
}

const importInto = (stage: Stage, lines: readonly string[], hooks: RunHooks) =>
  stage.as((engine, options) => importState(engine, parseState(lines, 'state.ndjson'), options), hooks);

function contents(state: MemoryStateStore): readonly string[] {
  const all = [...state.database.scopes].flatMap(([name, items]) =>
    [...items].map(([id, { body }]) => `${name} ${id} ${body}`),
  );
  return all.filter((item) => !item.includes('state.imported')).toSorted();
}

async function interrupted(records = 45): Promise<{ stage: Stage; plan: Awaited<ReturnType<Stage['plan']>> }> {
  const stage = new Stage();
  stage.fillSourceWith(records);
  const plan = await stage.plan();
  const during = ({ code }: { readonly code: string }, interrupt: () => void): void => {
    if (code === 'chunk.done') interrupt();
  };
  await failureOf(stage.apply(plan, { during }));
  return { stage, plan };
}

describe('an exported state', () => {
  it('is imported item by item, and the migration goes on there', async () => {
    const { stage, plan } = await interrupted();
    const lines = await exported(stage);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ format: 'keyferry.state', formatVersion: '1.0', migration });
    const state = new MemoryStateStore();
    const before = contents(stage.state);
    expect(await importInto(stage, lines, { state })).toBe(before.length);
    expect(contents(state)).toEqual(before);
    expect(await stage.apply(plan, { state })).toMatchObject({ outcome: 'done', resumed: true, attempt: 1 });
  });

  it('overwrites nothing: not a migration that is there, and none of its items', async () => {
    const { stage } = await interrupted();
    const lines = await exported(stage);
    const { stage: other } = await interrupted(46);
    const before = contents(other.state);
    expect(await failureOf(importInto(stage, lines, { state: other.state }))).toMatchObject({
      code: 'state.not-empty',
    });
    expect(contents(other.state)).toEqual(before);
    const state = new MemoryStateStore();
    const event = { atMs: 1, run: 'r', type: 'other', message: '' };
    const { id } = JSON.parse(lines.find((line) => line.includes('"event"')) ?? '{}') as { id: string };
    await state.write('event', migration, id, event, 'absent');
    expect(await failureOf(importInto(stage, lines, { state }))).toMatchObject({ code: 'state.not-empty' });
    expect(await state.read('migration', 'migrations', migration)).toBeNull();
  });

  it('is as it was for every command until its last item is there; the same import then goes on', async () => {
    const { stage } = await interrupted();
    const lines = await exported(stage);
    const state = new MemoryStateStore();
    let writes = 0;
    const dying = {
      read: state.read.bind(state),
      remove: state.remove.bind(state),
      list: state.list.bind(state),
      close: () => state.close(),
      write: (async <K extends StateKind>(...call: Parameters<typeof state.write<K>>) => {
        writes += 1;
        if (writes === 4) throw new KeyferryError('state.unusable', { where: 'test', detail: 'the process is gone' });
        return state.write(...call);
      }) as typeof state.write,
    };
    expect(await failureOf(importInto(stage, lines, { state: dying }))).toMatchObject({ code: 'state.unusable' });
    expect(await state.read('migration', 'migrations', migration)).toBeNull();
    await importInto(stage, lines, { state, holderIsGone: () => true });
    expect(contents(state)).toEqual(contents(stage.state));
  });

  it('repeated is harmless', async () => {
    const { stage } = await interrupted();
    const lines = await exported(stage);
    const state = new MemoryStateStore();
    await importInto(stage, lines, { state });
    await importInto(stage, lines, { state });
    expect(contents(state)).toEqual(contents(stage.state));
  });

  it.each([
    { name: 'that was cut short', cut: (lines: string[]) => lines.slice(0, -1), line: null },
    { name: 'with a line missing', cut: (lines: string[]) => lines.toSpliced(3, 1), line: null },
    { name: 'with a line that is no JSON', cut: (lines: string[]) => lines.with(2, '{'), line: 3 },
    { name: 'with something else in it', cut: (lines: string[]) => lines.with(2, '{"format":"x"}'), line: 3 },
    { name: 'that is empty', cut: () => [], line: 1 },
    {
      name: 'with an item of another migration',
      cut: (lines: string[]) => lines.with(2, (lines[2] ?? '').replaceAll('"shop/', '"shop-2/')),
      line: 3,
    },
  ])('$name is refused as a whole, with its line', async ({ cut, line }) => {
    const { stage } = await interrupted();
    const lines = cut(await exported(stage));
    const state = new MemoryStateStore();
    expect(await failureOf((async () => importInto(stage, lines, { state }))())).toMatchObject({
      code: 'state.document-invalid',
      ...(line === null ? {} : { details: { line } }),
    });
    expect(contents(state)).toEqual([]);
  });

  it('of a newer format is refused', async () => {
    const { stage } = await interrupted();
    const lines = (await exported(stage)).map((line) => line.replace('"formatVersion":"1.0"', '"formatVersion":"2.0"'));
    expect(() => parseState(lines, 'f')).toThrow(expect.objectContaining({ code: 'state.newer' }));
  });
});
