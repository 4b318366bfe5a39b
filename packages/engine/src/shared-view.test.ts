/**
 * Goal: a source that dropped the state of a view gets a new one, and no worker loses the view that it still reads.
 * Method: two holders of one view on a memory store.
 */
import { KeyferryError, prefixRange, type Key } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { failureOf, Stage } from '../testing/stage.ts';
import { SharedView } from './shared-view.ts';

const compacted = new KeyferryError('store.position-compacted', { store: 'old', position: '1' });

async function opened() {
  const stage = new Stage();
  stage.fillSourceWith(3);
  const range = prefixRange('src/' as Key);
  return stage.run(async (engine) => {
    const shared = new SharedView(() => engine.source.openView(range), null);
    return { stage, shared, range, first: await shared.view() };
  });
}

describe('a shared view', () => {
  it('is opened once more for all who saw the same failure', async () => {
    const { stage, shared, first } = await opened();
    await stage.run(() => Promise.all([shared.renew(first, compacted), shared.renew(first, compacted)]));
    expect(await shared.view()).not.toBe(first);
    expect(stage.source.openViews()).toBe(2);
    await shared.close();
    expect(stage.source.openViews()).toBe(0);
  });

  it('stays readable for a worker that is still in the middle of it', async () => {
    const { stage, shared, first, range } = await opened();
    const pages = first.scan(range, { pageKeysMax: 1 })[Symbol.asyncIterator]();
    await pages.next();
    await stage.run(() => shared.renew(first, compacted));
    expect((await pages.next()).done).toBe(false);
    await shared.close();
  });

  it('passes on what a new view cannot cure', async () => {
    const { shared, first } = await opened();
    const other = new KeyferryError('store.auth-failed', { store: 'old', detail: 'x' });
    expect(await failureOf(shared.renew(first, other))).toBe(other);
    expect(await shared.view()).toBe(first);
  });

  it('of an apply is renewed in the middle of a chunk', async () => {
    const stage = new Stage();
    stage.fillSourceWith(25);
    const plan = await stage.plan();
    stage.source.failNext('scan', 'before', compacted);
    expect(await stage.apply(plan)).toMatchObject({ outcome: 'done', counts: { written: 25 } });
    expect(stage.source.openViews()).toBe(0);
  });
});
