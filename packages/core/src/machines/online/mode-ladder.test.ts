/** Goal: modes follow each other only as the picture in the header says. Method: every edge from every rung, read back. */
import { describe, expect, it } from 'vitest';
import { firstRung, modes, modeTable, rungAfter, type Move, type Rung } from './mode-ladder.ts';

const moves: readonly Move[] = ['advance', 'back', 'give-up'];
const name = ({ mode, heldFrom, committed }: Rung): string =>
  [mode, heldFrom && `held from ${heldFrom}`, committed && `committed to ${committed}`].filter(Boolean).join(', ');

/** Every edge that can be reached from the first rung. */
function edges(): readonly string[] {
  const found = new Map<string, string[]>();
  const work = [firstRung];
  for (let rung = work.pop(); rung !== undefined; rung = work.pop()) {
    if (found.has(name(rung))) continue;
    const from: string[] = [];
    found.set(name(rung), from);
    for (const move of moves) {
      const next = rungAfter(rung, move);
      if (next === null) continue;
      from.push(`${name(rung)} | ${move} | ${name(next)}`);
      work.push(next);
    }
  }
  return [...found.values()].flat();
}

describe('the ladder', () => {
  it('has these edges and no others', () => {
    expect(edges().toSorted()).toEqual(
      [
        'legacy | advance | draining, held from legacy',
        'draining, held from legacy | advance | migrating',
        'draining, held from legacy | back | legacy',
        'draining, held from legacy | give-up | legacy',
        'migrating | advance | settled',
        'migrating | back | draining, held from migrating',
        'settled | advance | normal, committed to normal',
        'settled | back | draining, held from settled',
        'settled | give-up | migrating',
        'normal, committed to normal | give-up | settled, committed to normal',
        'settled, committed to normal | advance | normal, committed to normal',
        'draining, held from migrating | back | returning, held from migrating, committed to legacy',
        'draining, held from migrating | give-up | migrating',
        'draining, held from settled | back | returning, held from settled, committed to legacy',
        'draining, held from settled | give-up | settled',
        'returning, held from migrating, committed to legacy | back | legacy, committed to legacy',
        'returning, held from settled, committed to legacy | back | legacy, committed to legacy',
        'legacy, committed to legacy | advance | draining, held from legacy',
      ].toSorted(),
    );
  });

  it('lets writes go on somewhere from wherever they are held back', () => {
    const held = modes.filter((mode) => modeTable[mode].writes === 'held');
    const onward = held.filter((mode) =>
      edges().some((edge) => edge.startsWith(mode) && /(give-up|back) \| legacy/.test(edge)),
    );
    expect(onward).toEqual(held);
  });

  it('has a barrier wherever the next mode would contradict this one', () => {
    expect(modes.filter((mode) => !modeTable[mode].barrier)).toEqual(['migrating']);
  });
});
