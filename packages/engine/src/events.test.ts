/** Goal: what happened is there for whoever asks later, in order. Method: more events than are asked for, some at once. */
import { describe, expect, it } from 'vitest';
import { Stage } from '../testing/stage.ts';
import { readEvents, recordEvent } from './events.ts';

describe('events of a migration', () => {
  it('are kept in the order in which they came, and the last ones are read', async () => {
    const { spec, run } = newStage();
    const last = await run(async (engine) => {
      for (let i = 0; i < 12; i += 1) {
        await recordEvent(engine, spec.migration, { type: 'lock.broken', message: `event ${i}`, run: 'run_1' });
        await engine.clock.sleep(1);
      }
      return await readEvents(engine, spec.migration, 3);
    });
    expect(last.map(({ message }) => message)).toEqual(['event 9', 'event 10', 'event 11']);
    expect(last[0]).toMatchObject({ type: 'lock.broken', run: 'run_1', atMs: expect.any(Number) as number });
  });

  it('of the same instant are all kept', async () => {
    const { spec, run } = newStage();
    const all = await run(async (engine) => {
      for (const message of ['a', 'b']) {
        await recordEvent(engine, spec.migration, { type: 'lock.broken', message, run: 'run_1' });
      }
      return await readEvents(engine, spec.migration, 20);
    });
    expect(all.map(({ message }) => message).toSorted()).toEqual(['a', 'b']);
  });
});

function newStage() {
  const stage = new Stage();
  return { spec: stage.spec, run: stage.run.bind(stage) };
}
