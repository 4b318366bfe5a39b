/**
 * Goal: what an operation asks of which store is written down, mode by mode, for clients in other languages
 * (docs/reference/wire-protocol.md).
 * Method: every operation goes through core's own machine over each state of both stores that matters in its mode, and the
 * requests and the result are compared with the committed file. `-u` writes the file anew.
 */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Version } from '../../model/record.ts';
import { beginTurn, nextTurn } from './client-operation.ts';
import type {
  Operation,
  Pair,
  SourceRecord,
  SourceRequest,
  StoreAnswer,
  StoreRequest,
  TargetRequest,
  Token,
  Turn,
  Write,
} from './client-operation.ts';
import { modes, modeTable, type Mode } from './mode-ladder.ts';

const file = fileURLToPath(new URL('../../../../../docs/protocols/online-conduct.json', import.meta.url));

const version = (text: string): Version => text as Version;
const put: Write<string> = { kind: 'put', value: 'new', ttlMs: null };
const putTtl: Write<string> = { kind: 'put', value: 'new', ttlMs: 1500 };
const remove: Write<string> = { kind: 'delete' };
const ofSource = (text: string): Token => ({ store: 'source', version: version(text) });
const ofTarget = (text: string): Token => ({ store: 'target', version: version(text) });

const operations: readonly Operation<string>[] = [
  { kind: 'get' },
  { kind: 'write', write: put, previous: false },
  { kind: 'write', write: putTtl, previous: false },
  { kind: 'write', write: remove, previous: false },
  { kind: 'write', write: put, previous: true },
  { kind: 'write', write: remove, previous: true },
  { kind: 'compare', expect: null, write: put },
  { kind: 'compare', expect: ofSource('7'), write: put },
  { kind: 'compare', expect: ofSource('7'), write: remove },
  { kind: 'compare', expect: ofSource('6'), write: put },
  { kind: 'compare', expect: ofTarget('20'), write: putTtl },
  { kind: 'compare', expect: ofTarget('19'), write: put },
];

interface Stores {
  readonly source: SourceRecord<string> | null;
  readonly target: Pair<string>;
}

const own = { value: 'of T', version: version('20'), copiedFrom: null };
const sources: readonly Stores['source'][] = [null, { value: 'of S', version: version('7') }];
const targets: readonly Stores['target'][] = [
  { record: null, tombstone: false },
  { record: null, tombstone: true },
  { record: own, tombstone: false },
  { record: own, tombstone: true },
  { record: { value: 'of S', version: version('20'), copiedFrom: version('7') }, tombstone: false },
];

/** What differs for an operation in a mode: a store that is not read there is left empty. */
function statesIn(mode: Mode, { kind }: Operation<string>): readonly Stores[] {
  const { reads, writes } = modeTable[mode];
  const isHeld = writes === 'held' && kind !== 'get';
  const inSource = isHeld || reads === 'target' ? sources.slice(0, 1) : sources;
  const inTarget = isHeld || reads === 'source' ? targets.slice(0, 1) : targets;
  return inSource.flatMap((source) => inTarget.map((target) => ({ source, target })));
}

function conductOf(mode: Mode, operation: Operation<string>, stores: Stores) {
  const rules = modeTable[mode];
  const asked: string[] = [];
  let turn: Turn<string> = beginTurn(operation, rules);
  while (turn.kind === 'ask') {
    asked.push(textOf(turn.request));
    turn = nextTurn(operation, rules, turn.stage, answerOf(turn.request, stores));
  }
  return { mode, operation, ...stores, asked, result: turn.kind === 'end' ? turn.result : { kind: turn.kind } };
}

/** Nothing changes between two requests here: that is what the explorer is for. */
function answerOf(request: StoreRequest<string>, { source, target }: Stores): StoreAnswer<string> {
  if (request.store === 'source') {
    const { ask } = request;
    if (ask.kind === 'read') return { store: 'source', answer: { kind: 'read', record: source } };
    if (!isMetInSource(ask.expect, source)) return { store: 'source', answer: { kind: 'unmet', record: source } };
    const written = ask.write.kind === 'put' ? version('8') : null;
    return { store: 'source', answer: { kind: 'written', version: written, previous: source } };
  }
  const { ask } = request;
  if (ask.kind === 'read') return { store: 'target', answer: { kind: 'read', pair: target } };
  if (!isMetInTarget(ask.expect, target)) return { store: 'target', answer: { kind: 'unmet', pair: target } };
  const written = ask.write.kind === 'put' ? version('21') : null;
  return { store: 'target', answer: { kind: 'written', version: written, previous: target } };
}

type SourceExpectation = Extract<SourceRequest<string>, { kind: 'write' }>['expect'];
type TargetExpectation = Extract<TargetRequest<string>, { kind: 'write' }>['expect'];

function isMetInSource(expected: SourceExpectation, record: Stores['source']): boolean {
  if (typeof expected === 'object') return record?.version === expected.version;
  return expected === 'any' || record === null;
}

function isMetInTarget(expected: TargetExpectation, { record, tombstone }: Stores['target']): boolean {
  if (typeof expected === 'object') return record?.version === expected.version;
  return expected === 'any' || (record === null && (expected === 'absent' || !tombstone));
}

/** `T put if fresh, clear tombstone`: one request in the words of the page. */
function textOf({ store, ask }: StoreRequest<string>): string {
  const where = store === 'source' ? 'S' : 'T';
  if (ask.kind === 'read') return `${where} read`;
  const { write, expect: expected } = ask;
  const ttl = write.kind === 'put' && write.ttlMs !== null ? ' with TTL' : '';
  const condition =
    expected === 'any' ? '' : ` if ${typeof expected === 'object' ? `at ${expected.version}` : expected}`;
  const tombstone = 'tombstone' in ask && ask.tombstone !== 'leave' ? `, ${ask.tombstone} tombstone` : '';
  return `${where} ${write.kind}${ttl}${condition}${tombstone}`;
}

describe('the conduct of clients', () => {
  it('is the one in the committed vectors', async () => {
    const vectors = modes.flatMap((mode) =>
      operations.flatMap((each) => statesIn(mode, each).map((stores) => conductOf(mode, each, stores))),
    );
    const modeRows = modes.map((mode) => ({ mode, ...modeTable[mode] }));
    const lines = (rows: readonly object[]) => rows.map((row) => `    ${JSON.stringify(row)}`).join(',\n');
    const text = `{\n  "modes": [\n${lines(modeRows)}\n  ],\n  "operations": [\n${lines(vectors)}\n  ]\n}\n`;
    await expect(text).toMatchFileSnapshot(file);
  });
});
