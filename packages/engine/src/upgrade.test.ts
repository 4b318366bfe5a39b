/**
 * Goal: items of an older format are brought to today's, whole, and a newer one is refused by every command.
 * Method: made-up formats: there is only one so far.
 */
import type { EventItem, MigrationId, MigrationState, StateUpgrade, StateVersion } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { failureOf, Stage } from '../testing/stage.ts';
import { upgradeState } from './upgrade.ts';

const migration = 'shop' as MigrationId;

/** In format 2 events begin with a capital. */
const capitals: StateUpgrade = (kind, item) => {
  if (kind !== 'event') return item;
  const event = item as EventItem;
  return { ...event, message: event.message.replace(/^./, (first) => first.toUpperCase()) } as typeof item;
};

async function verified(): Promise<Stage> {
  const stage = new Stage();
  stage.fillSourceWith(5);
  await stage.apply(await stage.plan());
  return stage;
}

async function ownItem(stage: Stage) {
  return (await stage.state.read('migration', 'migrations', migration)) as {
    item: MigrationState;
    version: StateVersion;
  };
}

describe('upgrade', () => {
  it('has nothing to do today', async () => {
    const stage = await verified();
    const before = (await ownItem(stage)).version;
    expect(await stage.as((engine, options) => upgradeState(engine, options))).toEqual([
      { migration, from: 1, to: 1, items: 0 },
    ]);
    expect((await ownItem(stage)).version).toBe(before);
  });

  it('brings each item to the newer format, also where an item says no format', async () => {
    const stage = await verified();
    const { item, version } = await ownItem(stage);
    const { format: _, ...older } = item;
    await stage.state.write('migration', 'migrations', migration, older, version);
    const [result] = await stage.as((engine, options) => upgradeState(engine, options, [capitals]));
    expect(result).toMatchObject({ from: 1, to: 2 });
    expect(result?.items).toBeGreaterThan(4);
    expect((await ownItem(stage)).item.format).toBe(2);
    const { entries } = await stage.state.list('event', migration, { after: null, itemsMax: 10 });
    expect(entries.map((entry) => entry.item.message.slice(0, 1)).toSorted()).toEqual(['A', 'S']);
  });

  it('of a newer one is refused, and so is every other command', async () => {
    const stage = await verified();
    const { item, version } = await ownItem(stage);
    await stage.state.write('migration', 'migrations', migration, { ...item, format: 2 }, version);
    for (const command of [
      () => stage.as((engine, options) => upgradeState(engine, options)),
      () => stage.status(),
      () => stage.rollBack(),
      () => stage.verifyApplied(),
    ]) {
      expect(await failureOf(command())).toMatchObject({ code: 'state.newer', details: { found: '2', known: '1' } });
    }
  });
});
