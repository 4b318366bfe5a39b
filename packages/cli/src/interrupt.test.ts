/** Goal: one signal stops at a checkpoint, two stop at once. Method: signals from an emitter of our own. */
import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { Interrupt, orStopped } from './interrupt.ts';

function watch(timeoutMs: number | null = null) {
  const source = new EventEmitter();
  const stops: string[] = [];
  const exits: number[] = [];
  const interrupt = new Interrupt(source, {
    timeoutMs,
    onStop: (reason) => void stops.push(reason),
    exitNow: (code) => void exits.push(code),
  });
  return { source, stops, exits, interrupt };
}

describe('an interrupt', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ])('by %s asks the run to stop, and a second one exits with %i', (signal, code) => {
    const { source, stops, exits, interrupt } = watch();
    source.emit(signal);
    expect([interrupt.signal.aborted, interrupt.signal.reason, stops, exits]).toEqual([true, signal, [signal], []]);
    source.emit(signal);
    expect([stops, exits]).toEqual([[signal], [code]]);
  });

  it('comes from the end of the time too', async () => {
    const { interrupt } = watch(1);
    await new Promise<void>((resolve) => interrupt.signal.addEventListener('abort', () => resolve()));
    expect(interrupt.signal.reason).toBe('timeout');
  });

  it.each([0, 1])(
    'changes nothing once the result stands, after %i before; a second one does not wait for the rest of the process',
    (before) => {
      const { source, stops, exits, interrupt } = watch(60_000);
      for (let i = 0; i < before; i += 1) source.emit('SIGINT');
      interrupt.end(5);
      source.emit('SIGINT');
      expect([stops.length, exits]).toEqual([before, []]);
      source.emit('SIGINT');
      expect([stops.length, exits]).toEqual([before, [5]]);
    },
  );
});

describe('work that only reads', () => {
  const stopped = (): Error => new RangeError('stopped');
  it('ends with its result', async () => {
    expect(await orStopped(Promise.resolve(1), new AbortController().signal, stopped)).toBe(1);
  });
  it('ends at once on a stop, also on an earlier one', async () => {
    const controller = new AbortController();
    const never = new Promise<number>(() => undefined);
    const waiting = orStopped(never, controller.signal, stopped);
    controller.abort('SIGINT');
    await expect(waiting).rejects.toThrow('stopped');
    await expect(orStopped(never, controller.signal, stopped)).rejects.toThrow('stopped');
  });
});
