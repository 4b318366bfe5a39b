/**
 * Goal: the judge of live runs says yes to what a register could have answered, and no to everything else, for hours of it.
 * Method: histories by hand; drawn ones, true and spoilt, held against the checker of the explorer, which goes along with a
 * history and knows nothing of these short cuts; and one that is long.
 */
import { answered, asked, mayHold, newHistory, settled } from '@keyferry/core/testing';
import { Prng } from '@keyferry/engine/testing';
import { describe, expect, it } from 'vitest';
import { nothing, type Asked, type HistoryId, type Said } from '../sim/tally.ts';
import { contradictionIn, type KeyHistory, type Operation } from './register-history.ts';

const told = (id: HistoryId, what: Asked, askedAt: number, at: number, said: Said): Operation => {
  return { id, what, askedAt, outcome: { kind: 'told', said, at } };
};
const unknown = (id: HistoryId, what: Asked, askedAt: number, settledAt: number): Operation => {
  return { id, what, askedAt, outcome: { kind: 'unknown', settledAt } };
};
const put = (id: HistoryId): Asked => ({ kind: 'put', id });
const get: Asked = { kind: 'get' };
const verdict = (after: HistoryId, ...operations: readonly Operation[]) =>
  contradictionIn({ before: nothing, after, operations });

describe('one key', () => {
  it('may answer in any order what was asked at one time', () => {
    expect(verdict(2, told(1, put(1), 0, 9, 'done'), told(2, put(2), 0, 9, 'done'))).toBeNull();
    expect(verdict(1, told(1, put(1), 0, 9, 'done'), told(2, put(2), 0, 9, 'done'))).toBeNull();
  });

  it('loses no write that was confirmed', () => {
    expect(verdict(0, told(1, put(1), 0, 1, 'done'))).toContain('0 is held in the end');
    expect(verdict(1, told(1, put(1), 0, 1, 'done'), told(2, get, 2, 3, 0))).toContain('2 (get) was told 0');
  });

  it('shows no older value after a newer one was seen', () => {
    const writes = [told(1, put(1), 0, 1, 'done'), told(2, put(2), 2, 9, 'done')] as const;
    expect(verdict(2, ...writes, told(3, get, 3, 4, 2), told(4, get, 5, 6, 1))).toContain('4 (get) was told 1');
    expect(verdict(2, ...writes, told(3, get, 3, 4, 1), told(4, get, 5, 6, 2))).toBeNull();
  });

  it('may have done what nobody was told of, at any time until it is settled, or never', () => {
    const lost = unknown(1, put(1), 0, 10);
    expect(verdict(1, lost)).toBeNull();
    expect(verdict(0, lost)).toBeNull();
    expect(verdict(2, lost, told(2, put(2), 1, 2, 'done'), told(3, get, 3, 4, 2), told(4, get, 5, 6, 1))).toContain(
      '2 is held',
    );
    expect(verdict(1, lost, told(2, put(2), 1, 2, 'done'), told(3, get, 3, 4, 2), told(4, get, 5, 6, 1))).toBeNull();
    expect(verdict(1, lost, told(2, put(2), 11, 12, 'done'))).toContain('1 is held in the end');
  });

  it('does it once', () => {
    const lost = unknown(1, put(1), 0, 100);
    const seen = [told(3, get, 2, 3, 1), told(4, put(4), 4, 5, 'done'), told(5, get, 6, 7, 1)];
    expect(verdict(1, lost, ...seen)).toContain('5 (get) was told 1');
  });

  it('may be gone once its time is over, and not before', () => {
    const brief: Operation = { ...told(1, put(1), 0, 1, 'done'), endsAt: 10 };
    expect(verdict(0, brief, told(2, get, 8, 9, 0))).toContain('2 (get) was told 0');
    expect(verdict(0, brief, told(2, get, 9, 11, 0))).toBeNull();
  });

  it('compares with what is there', () => {
    const first = told(1, put(1), 0, 1, 'done');
    const swap: Asked = { kind: 'compare', expect: 1, id: 2 };
    expect(verdict(2, first, told(2, swap, 2, 3, 'done'))).toBeNull();
    expect(verdict(1, first, told(2, swap, 2, 3, 'unmet'))).toContain('was told unmet');
    expect(verdict(3, first, told(3, put(3), 2, 4, 'done'), told(2, swap, 2, 5, 'unmet'))).toBeNull();
  });
});

describe('drawn histories', () => {
  it.each([0, 0.15])('are judged as the checker of the explorer judges them (answers spoilt: %d)', (spoilt) => {
    const verdicts = Array.from({ length: 1500 }, (_, seed) => {
      const history = drawHistory(new Prng(`history ${seed} ${spoilt}`), spoilt);
      const isTrue = contradictionIn(history) === null;
      expect({ seed, isTrue }).toEqual({ seed, isTrue: explorerSaysSo(history) });
      return isTrue;
    });
    expect(new Set(verdicts)).toEqual(new Set(spoilt === 0 ? [true] : [true, false]));
  });

  it('are judged to their end where many outcomes are unknown', () => {
    const history = drawHistory(new Prng('long'), 0, { count: 4000, lanes: 9, unknown: 0.05, lifeUnits: 60 });
    expect(contradictionIn(history)).toBeNull();
    const last = history.operations.findLast(({ what }) => what.kind === 'get') as Operation;
    const spoilt = { ...last, outcome: { kind: 'told', said: 999_999, at: last.askedAt + 1 } } as const;
    const operations = history.operations.map((each) => (each === last ? spoilt : each));
    expect(contradictionIn({ ...history, operations })).toContain('was told 999999');
  });
});

interface Drawn {
  readonly count: number;
  readonly lanes: number;
  readonly unknown: number;
  readonly lifeUnits: number;
}

/** Operations of several callers on one register, each at a moment between its begin and its end. */
function drawHistory(prng: Prng, spoilt: number, options: Partial<Drawn> = {}): KeyHistory {
  const { count = 8, lanes = 3, unknown: lost = 0.15, lifeUnits = 20 } = options;
  interface Planned {
    readonly id: HistoryId;
    readonly what: Asked;
    readonly askedAt: number;
    readonly momentAt: number | null;
    readonly endAt: number;
    readonly isLost: boolean;
    readonly endsAt: number | null;
  }
  const free = Array.from({ length: lanes }, () => 0);
  const planned = Array.from({ length: count }, (_, index): Planned => {
    const id = index + 1;
    const lane = prng.below(lanes);
    const askedAt = (free[lane] ?? 0) + prng.below(3) + 1;
    const isLost = prng.chance(lost);
    const endAt = askedAt + 1 + prng.below(6);
    free[lane] = endAt;
    const settledAt = isLost ? endAt + lifeUnits : endAt;
    const what = drawAsked(prng, id, Math.max(0, id - 1 - prng.below(3)));
    const momentAt = isLost && prng.chance(0.5) ? null : askedAt + (prng.uint32() / 2 ** 32) * (settledAt - askedAt);
    const endsAt = what.kind === 'put' && prng.chance(0.2) ? settledAt + prng.below(8) : null;
    return { id, what, askedAt, momentAt, endAt: settledAt, isLost, endsAt };
  });
  const said = new Map<HistoryId, Said>();
  let held: HistoryId = nothing;
  const moments = planned.filter(({ momentAt }) => momentAt !== null);
  for (const { id, what, momentAt } of moments.toSorted((a, b) => Number(a.momentAt) - Number(b.momentAt))) {
    const endsAt = planned[held - 1]?.endsAt ?? Number.POSITIVE_INFINITY;
    const seen = endsAt <= Number(momentAt) && prng.chance(0.5) ? nothing : held;
    switch (what.kind) {
      case 'get':
        said.set(id, seen);
        break;
      case 'put':
        [held] = [what.id, said.set(id, 'done')];
        break;
      case 'delete':
        [held] = [nothing, said.set(id, 'done')];
        break;
      case 'take':
        [held] = [nothing, said.set(id, seen)];
        break;
      case 'compare':
        said.set(id, seen === what.expect ? 'done' : 'unmet');
        if (seen === what.expect) held = what.id;
        break;
    }
  }
  const operations = planned
    .filter(({ what, isLost }) => !(isLost && what.kind === 'get'))
    .map(({ id, what, askedAt, endAt, isLost, endsAt }): Operation => {
      const truth = said.get(id) ?? nothing;
      const answer = typeof truth === 'number' && prng.chance(spoilt) ? prng.below(count) : truth;
      const operation = isLost ? unknown(id, what, askedAt, endAt) : told(id, what, askedAt, endAt, answer);
      return endsAt === null ? operation : { ...operation, endsAt };
    });
  return { before: nothing, after: held, operations };
}

function drawAsked(prng: Prng, id: HistoryId, expected: HistoryId): Asked {
  const kind = prng.pick(['get', 'get', 'put', 'delete', 'take', 'compare'] as const);
  if (kind === 'put') return { kind, id };
  return kind === 'compare' ? { kind, expect: expected, id } : { kind };
}

function explorerSaysSo({ before, after, operations }: KeyHistory): boolean {
  const overAt = (at: number) => operations.filter(({ endsAt = Infinity }) => endsAt <= at).map(({ id }) => id);
  const events = operations.flatMap((operation) => {
    const { outcome } = operation;
    const endAt = outcome.kind === 'told' ? outcome.at : outcome.settledAt;
    return [
      { at: operation.askedAt, isEnd: false, operation },
      { at: endAt, isEnd: true, operation },
    ];
  });
  let history = newHistory(before);
  for (const { at, isEnd, operation } of events.toSorted((a, b) => a.at - b.at || Number(a.isEnd) - Number(b.isEnd))) {
    const { id, what, outcome } = operation;
    if (!isEnd) history = asked(history, id, what);
    else if (outcome.kind === 'told') history = answered(history, id, outcome.said, overAt(at));
    else history = settled(history, id, overAt(at));
  }
  return history.possible.length > 0 && mayHold(history, after, overAt(Infinity));
}
