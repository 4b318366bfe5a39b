/**
 * Goal: each operation asks the stores of its mode, in the order that the rules need (SPEC R31 to R34).
 * Method: what is asked is written down, against stores that hold one key. That the orders are right in every
 * interleaving is the explorer's part (testing/explore).
 */
import { describe, expect, it } from 'vitest';
import type { Version } from '../../model/record.ts';
import {
  beginTurn,
  nextTurn,
  type Operation,
  type Pair,
  type SourceRecord,
  type StoreAnswer,
  type StoreRequest,
  type Turn,
} from './client-operation.ts';
import { modeTable, type Mode } from './mode-ladder.ts';

const version = (text: string) => text as Version;

interface Stores {
  readonly source?: SourceRecord<string>;
  readonly target?: Pair<string>;
}

const inSource: SourceRecord<string> = { value: 'old', version: version('5') };
const inTarget = { record: { value: 'new', version: version('90'), copiedFrom: null }, tombstone: false };
const copied = { record: { value: 'old', version: version('80'), copiedFrom: version('5') }, tombstone: false };
const deleted = { record: null, tombstone: true };
const neither: Pair<string> = { record: null, tombstone: false };

/** Runs it on stores that nobody else touches. @returns what was asked, and how it ended */
function run(operation: Operation<string>, mode: Mode, stores: Stores) {
  const asked: string[] = [];
  let turn: Turn<string> = beginTurn(operation, modeTable[mode]);
  while (turn.kind === 'ask') {
    asked.push(describeRequest(turn.request));
    turn = nextTurn(operation, modeTable[mode], turn.stage, answerOf(turn.request, stores));
  }
  return { asked: asked.join(', '), end: turn.kind === 'end' ? turn.result : turn.kind };
}

function describeRequest({ store, ask }: StoreRequest<string>): string {
  if (ask.kind === 'read') return `${store} read`;
  const { expect: expected, write } = ask;
  const condition = expected === 'any' ? '' : ` if ${typeof expected === 'object' ? expected.version : expected}`;
  return `${store} ${write.kind}${condition}${'tombstone' in ask ? ` ${ask.tombstone}` : ''}`;
}

function answerOf(request: StoreRequest<string>, { source, target = neither }: Stores): StoreAnswer<string> {
  if (request.store === 'source') {
    const record = source ?? null;
    const { ask } = request;
    if (ask.kind === 'read') return { store: 'source', answer: { kind: 'read', record } };
    const isMet =
      ask.expect === 'any' || (ask.expect === 'absent' ? record === null : record?.version === ask.expect.version);
    if (!isMet) return { store: 'source', answer: { kind: 'unmet', record } };
    return { store: 'source', answer: { kind: 'written', version: version('6'), previous: record } };
  }
  const { ask } = request;
  if (ask.kind === 'read') return { store: 'target', answer: { kind: 'read', pair: target } };
  const { expect: expected } = ask;
  const isMet =
    expected === 'any' ||
    (expected === 'absent' && target.record === null) ||
    (expected === 'fresh' && target.record === null && !target.tombstone) ||
    (typeof expected === 'object' && target.record?.version === expected.version);
  if (!isMet) return { store: 'target', answer: { kind: 'unmet', pair: target } };
  return { store: 'target', answer: { kind: 'written', version: version('91'), previous: target } };
}

const get: Operation<string> = { kind: 'get' };
const put = { kind: 'put', value: 'v', ttlMs: null } as const;
const write = (kind: 'put' | 'put-ttl' | 'delete', previous = false): Operation<string> => ({
  kind: 'write',
  write: kind === 'delete' ? { kind } : { ...put, ttlMs: kind === 'put' ? null : 5000 },
  previous,
});
const compare = (store: 'source' | 'target', text: string): Operation<string> => ({
  kind: 'compare',
  expect: { store, version: version(text) },
  write: put,
});
const create: Operation<string> = { kind: 'compare', expect: null, write: put };

describe('a read', () => {
  it.each<[Mode, Stores, string, string | null]>([
    ['legacy', { source: inSource, target: inTarget }, 'source read', 'old'],
    ['draining', { source: inSource }, 'target read, source read', 'old'],
    ['draining', { source: inSource, target: inTarget }, 'target read', 'new'],
    ['migrating', { source: inSource, target: deleted }, 'target read', null],
    ['migrating', { source: inSource, target: { ...inTarget, tombstone: true } }, 'target read', 'new'],
    ['migrating', {}, 'target read, source read, target read', null],
    ['settled', { source: inSource }, 'target read', null],
    ['normal', { source: inSource, target: copied }, 'target read', 'old'],
    ['returning', { source: inSource, target: inTarget }, 'source read', 'old'],
  ])('in %s with %j asks: %s', (mode, stores, asked, value) => {
    const { asked: was, end } = run(get, mode, stores);
    expect(was).toBe(asked);
    expect(end).toMatchObject(value === null ? { record: null } : { record: { value } });
  });

  it('gives a copied record the version that it had in the source', () => {
    expect(run(get, 'migrating', { target: copied }).end).toMatchObject({
      record: { token: { store: 'source', version: '5' } },
    });
  });
});

describe('a write', () => {
  it.each<[Mode, 'put' | 'put-ttl' | 'delete', string]>([
    ['legacy', 'put', 'source put'],
    ['legacy', 'delete', 'source delete'],
    ['draining', 'put', ''],
    ['returning', 'delete', ''],
    ['migrating', 'put', 'target put clear'],
    ['migrating', 'put-ttl', 'target put write'],
    ['migrating', 'delete', 'target delete write'],
    ['settled', 'put-ttl', 'target put write'],
    ['settled', 'delete', 'target delete write'],
    ['normal', 'put-ttl', 'target put leave'],
    ['normal', 'delete', 'target delete leave'],
  ])('in %s of %s asks: %s', (mode, kind, asked) => {
    const { asked: was, end } = run(write(kind), mode, { source: inSource });
    expect(was).toBe(asked);
    expect(typeof end === 'string' ? end : end.kind).toBe(asked === '' ? 'held' : 'written');
  });

  it.each<[Mode, Stores, string, string | null]>([
    ['legacy', { source: inSource }, 'source delete', 'old'],
    ['migrating', { source: inSource }, 'source read, target delete write', 'old'],
    ['migrating', { source: inSource, target: deleted }, 'source read, target delete write', null],
    ['migrating', { source: inSource, target: inTarget }, 'source read, target delete write', 'new'],
    ['settled', { source: inSource }, 'target delete write', null],
    ['normal', { target: inTarget }, 'target delete leave', 'new'],
  ])('in %s with %j tells what was there', (mode, stores, asked, value) => {
    const { asked: was, end } = run(write('delete', true), mode, stores);
    expect(was).toBe(asked);
    expect(end).toMatchObject(value === null ? { previous: null } : { previous: { value } });
  });

  it('that the target refused because the epoch had moved begins again', () => {
    const turn = nextTurn(write('put'), modeTable.migrating, {}, { store: 'target', answer: { kind: 'epoch-moved' } });
    expect(turn.kind).toBe('restart');
  });
});

describe('a comparison', () => {
  it.each<[string, Operation<string>, Mode, Stores, string, string]>([
    ['in the source', compare('source', '5'), 'legacy', { source: inSource }, 'source put if 5', 'written'],
    ['in the source, lost', compare('source', '4'), 'legacy', { source: inSource }, 'source put if 4', 'unmet'],
    [
      'with what the target said, after a return',
      compare('target', '90'),
      'legacy',
      { source: inSource },
      '',
      'outdated',
    ],
    [
      'not yet copied',
      compare('source', '5'),
      'migrating',
      { source: inSource },
      'target read, source read, target put if fresh clear',
      'written',
    ],
    [
      'not yet copied, lost',
      compare('source', '4'),
      'migrating',
      { source: inSource },
      'target read, source read',
      'unmet',
    ],
    [
      'copied',
      compare('source', '5'),
      'migrating',
      { target: copied },
      'target read, target put if 80 clear',
      'written',
    ],
    [
      'copied, then settled',
      compare('source', '5'),
      'settled',
      { target: copied },
      'target read, target put if 80 clear',
      'written',
    ],
    [
      'with what the target said, then rolled back and copied anew',
      compare('target', '90'),
      'migrating',
      { target: copied },
      'target put if 90 clear',
      'outdated',
    ],
    ['copied, marks gone', compare('source', '5'), 'normal', { target: inTarget }, 'target read', 'outdated'],
    [
      'written since',
      compare('source', '5'),
      'migrating',
      { source: inSource, target: inTarget },
      'target read',
      'unmet',
    ],
    [
      'deleted since',
      compare('source', '5'),
      'migrating',
      { source: inSource, target: deleted },
      'target read',
      'unmet',
    ],
    [
      'expired in the source',
      compare('source', '5'),
      'migrating',
      {},
      'target read, source read, target read',
      'unmet',
    ],
    ['in the target', compare('target', '90'), 'migrating', { target: inTarget }, 'target put if 90 clear', 'written'],
    ['in the target, lost', compare('target', '89'), 'normal', { target: inTarget }, 'target put if 89 leave', 'unmet'],
    [
      'with nothing, nowhere',
      create,
      'migrating',
      {},
      'target read, source read, target put if fresh clear',
      'written',
    ],
    [
      'with nothing, deleted',
      create,
      'migrating',
      { source: inSource, target: deleted },
      'target read, target put if absent clear',
      'written',
    ],
    ['with nothing, in the source', create, 'migrating', { source: inSource }, 'target read, source read', 'unmet'],
    ['with nothing, settled', create, 'settled', { source: inSource }, 'target put if absent clear', 'written'],
    ['held back', create, 'draining', {}, '', 'held'],
  ])('%s', (_, operation, mode, stores, asked, kind) => {
    const { asked: was, end } = run(operation, mode, stores);
    expect(was).toBe(asked);
    expect(typeof end === 'string' ? end : end.kind).toBe(kind);
  });
});
