/**
 * What one operation of an application asks of which store, mode by mode.
 *
 *     begin ─► ask ─answer─► ask … ─► end: the result           held: the mode lets no write begin
 *                                └──► restart: the epoch had moved, nothing was done; begin again in the mode of now
 *
 * Pure: whoever runs it sends each request and hands back the answer. The client package does so with real stores, the
 * explorer with model stores and in every order (testing/explore), so the two cannot drift apart.
 *
 * Reads look into the target first and then into the source. What they find in the source was true at some moment in
 * between even if the reverse tail wrote it: once an application has written a key, the target holds the key or its
 * tombstone for good. A previous value is read from the source *before* the write, because afterwards the reverse tail
 * may have carried the write there (SPEC R32, R34).
 */
import { invariant } from '../../errors/invariant.ts';
import type { Version } from '../../model/record.ts';
import type { ModeRules } from './mode-ladder.ts';

/** A record's state, to compare with later. A record that backfill copied keeps the token that it had in the source. */
export interface Token {
  readonly store: 'source' | 'target';
  readonly version: Version;
}

export interface TokenRecord<V> {
  readonly value: V;
  readonly token: Token;
}

export type Write<V> =
  { readonly kind: 'put'; readonly value: V; readonly ttlMs: number | null } | { readonly kind: 'delete' };

export type Operation<V> =
  | { readonly kind: 'get' }
  /** `previous`: whether the result is to hold the record as it was before. */
  | { readonly kind: 'write'; readonly write: Write<V>; readonly previous: boolean }
  /** Only over the state that `expect` names; null: only where nothing is. */
  | { readonly kind: 'compare'; readonly expect: Token | null; readonly write: Write<V> };

export interface SourceRecord<V> {
  readonly value: V;
  readonly version: Version;
}

export interface TargetRecord<V> {
  readonly value: V;
  readonly version: Version;
  /** The version that it has in the source, if backfill put it there and nobody wrote it since. */
  readonly copiedFrom: Version | null;
}

/** A key and its tombstone, in one snapshot. A record that is there wins over the tombstone. */
export interface Pair<V> {
  readonly record: TargetRecord<V> | null;
  readonly tombstone: boolean;
}

export type SourceRequest<V> =
  | { readonly kind: 'read' }
  | {
      readonly kind: 'write';
      readonly write: Write<V>;
      readonly expect: 'any' | 'absent' | { readonly version: Version };
    };

export type SourceAnswer<V> =
  | { readonly kind: 'read'; readonly record: SourceRecord<V> | null }
  /** `version` of a put; null of a delete. */
  | { readonly kind: 'written'; readonly version: Version | null; readonly previous: SourceRecord<V> | null }
  | { readonly kind: 'unmet'; readonly record: SourceRecord<V> | null };

/** fresh: neither key nor tombstone. absent: no key, tombstone or not. */
export type TargetExpectation = 'any' | 'fresh' | 'absent' | { readonly version: Version };

/**
 * Whether what is there is what was expected; for stores that look first and decide by themselves.
 * @param isSame tells versions that are written in two ways for one and the same; by default they are equal
 */
export function isExpected<V>(
  { record, tombstone }: Pair<V>,
  expect: TargetExpectation,
  isSame: (held: Version, wanted: Version) => boolean = (held, wanted) => held === wanted,
): boolean {
  if (expect === 'any') return true;
  if (typeof expect === 'object') return record !== null && isSame(record.version, expect.version);
  return record === null && (expect === 'absent' || !tombstone);
}

export type TargetRequest<V> =
  /** Linearizable, and one snapshot of both. */
  | { readonly kind: 'read' }
  /** One transaction: expectation, change of the key, change of its tombstone. */
  | {
      readonly kind: 'write';
      readonly write: Write<V>;
      readonly expect: TargetExpectation;
      readonly tombstone: 'clear' | 'write' | 'leave';
    };

export type TargetAnswer<V> =
  | { readonly kind: 'read'; readonly pair: Pair<V> }
  | { readonly kind: 'written'; readonly version: Version | null; readonly previous: Pair<V> }
  | { readonly kind: 'unmet'; readonly pair: Pair<V> }
  /** The target compares the switch's epoch, and it is another one. Nothing was done. */
  | { readonly kind: 'epoch-moved' };

export type StoreRequest<V> =
  | { readonly store: 'source'; readonly ask: SourceRequest<V> }
  | { readonly store: 'target'; readonly ask: TargetRequest<V> };

export type StoreAnswer<V> =
  | { readonly store: 'source'; readonly answer: SourceAnswer<V> }
  | { readonly store: 'target'; readonly answer: TargetAnswer<V> };

export type OperationResult<V> =
  | { readonly kind: 'read'; readonly record: TokenRecord<V> | null }
  /** `token` of a put. `previous` only where it was asked for; null: there was none. */
  | { readonly kind: 'written'; readonly token: Token | null; readonly previous?: TokenRecord<V> | null }
  | { readonly kind: 'unmet'; readonly current: TokenRecord<V> | null }
  /** The token is of the other store or of before a rollback: whether the record changed cannot be told. Read again. */
  | { readonly kind: 'outdated' };

export type Turn<V> =
  | { readonly kind: 'ask'; readonly request: StoreRequest<V>; readonly stage: Stage<V> }
  | { readonly kind: 'end'; readonly result: OperationResult<V> }
  | { readonly kind: 'held' }
  | { readonly kind: 'restart' };

/** What an operation remembers between two requests. */
export interface Stage<V> {
  /** What the source held, where the target is asked after it. */
  readonly inSource?: SourceRecord<V> | null;
}

const start = {};

export function beginTurn<V>(operation: Operation<V>, rules: ModeRules): Turn<V> {
  if (operation.kind === 'get')
    return rules.reads === 'source' ? askSource({ kind: 'read' }) : askTarget({ kind: 'read' });
  if (rules.writes === 'held') return { kind: 'held' };
  if (operation.kind === 'write') {
    if (rules.writes === 'source') return askSource({ kind: 'write', write: operation.write, expect: 'any' });
    if (operation.previous && rules.reads === 'target-then-source') return askSource({ kind: 'read' });
    return writeTarget(operation.write, 'any', rules, start);
  }
  const { expect, write } = operation;
  if (rules.writes === 'source') {
    if (expect === null) return askSource({ kind: 'write', write, expect: 'absent' });
    if (expect.store === 'target') return { kind: 'end', result: { kind: 'outdated' } };
    return askSource({ kind: 'write', write, expect: { version: expect.version } });
  }
  if (expect?.store === 'target') return writeTarget(write, { version: expect.version }, rules, start);
  // Where nothing falls back any more, a record that is not in the target is nowhere.
  if (expect === null && rules.reads === 'target') return writeTarget(write, 'absent', rules, start);
  return askTarget({ kind: 'read' });
}

export function nextTurn<V>(operation: Operation<V>, rules: ModeRules, stage: Stage<V>, from: StoreAnswer<V>): Turn<V> {
  if (from.store === 'target' && from.answer.kind === 'epoch-moved') return { kind: 'restart' };
  switch (operation.kind) {
    case 'get':
      invariant(from.answer.kind === 'read', `a read was answered with ${from.answer.kind}`);
      return from.store === 'source'
        ? readInSource(from.answer.record, rules)
        : readInTarget(from.answer.pair, rules, stage);
    case 'write':
      return written(operation, rules, stage, from);
    case 'compare':
      return from.store === 'source'
        ? compareInSource(operation, rules, from.answer)
        : compareInTarget(operation, rules, stage, from.answer);
  }
}

function readInTarget<V>(pair: Pair<V>, rules: ModeRules, stage: Stage<V>): Turn<V> {
  if (pair.record !== null) return read(ofTarget(pair.record));
  if (pair.tombstone || rules.reads === 'target' || stage.inSource === null) return read<V>(null);
  return askSource({ kind: 'read' });
}

function readInSource<V>(record: SourceRecord<V> | null, rules: ModeRules): Turn<V> {
  if (record !== null || rules.reads === 'source') return read(ofSource(record));
  return lookAgain();
}

/**
 * In neither store, one after the other, does not mean that the key was ever gone: its record in the source may have
 * ended by its TTL after an application had put another one into the target. Nothing in the source stays nothing, so
 * the target's word is the last (SPEC R32).
 */
function lookAgain<V>(): Turn<V> {
  return { kind: 'ask', request: { store: 'target', ask: { kind: 'read' } }, stage: { inSource: null } };
}

type WriteOperation<V> = Extract<Operation<V>, { kind: 'write' }>;
type CompareOperation<V> = Extract<Operation<V>, { kind: 'compare' }>;

function written<V>(operation: WriteOperation<V>, rules: ModeRules, stage: Stage<V>, from: StoreAnswer<V>): Turn<V> {
  const end = (token: Token | null, previous: TokenRecord<V> | null): Turn<V> => ({
    kind: 'end',
    result: operation.previous ? { kind: 'written', token, previous } : { kind: 'written', token },
  });
  if (from.store === 'source') {
    const { answer } = from;
    if (answer.kind !== 'written') return writeTarget(operation.write, 'any', rules, { inSource: answer.record });
    return end(tokenOf('source', answer.version), ofSource(answer.previous));
  }
  const { answer } = from;
  invariant(answer.kind === 'written', `a write without a condition was answered with ${answer.kind}`);
  const { record, tombstone } = answer.previous;
  // Neither was there, so no application has written the key in the target, and what the source held was still true.
  const fellBack = record === null && !tombstone ? ofSource(stage.inSource ?? null) : null;
  return end(tokenOf('target', answer.version), record === null ? fellBack : ofTarget(record));
}

function compareInSource<V>(operation: CompareOperation<V>, rules: ModeRules, answer: SourceAnswer<V>): Turn<V> {
  if (answer.kind === 'written') {
    return { kind: 'end', result: { kind: 'written', token: tokenOf('source', answer.version) } };
  }
  const { record } = answer;
  if (answer.kind === 'unmet') return unmet(ofSource(record));
  // The target was asked first, and had neither key nor tombstone.
  const isAsExpected = (record?.version ?? null) === (operation.expect?.version ?? null);
  if (isAsExpected) return writeTarget(operation.write, 'fresh', rules, start);
  return record === null ? lookAgain() : unmet(ofSource(record));
}

function compareInTarget<V>(
  operation: CompareOperation<V>,
  rules: ModeRules,
  stage: Stage<V>,
  answer: TargetAnswer<V>,
): Turn<V> {
  if (answer.kind === 'epoch-moved') return { kind: 'restart' };
  if (answer.kind === 'written') {
    return { kind: 'end', result: { kind: 'written', token: tokenOf('target', answer.version) } };
  }
  const { expect, write } = operation;
  const { record, tombstone } = answer.pair;
  if (expect?.store === 'target') {
    // A copy never follows what an application wrote there: the target was cleared since, by a rollback.
    const isOfBefore = record === null ? !tombstone : record.copiedFrom !== null;
    if (isOfBefore) return { kind: 'end', result: { kind: 'outdated' } };
    return unmet(record === null ? null : ofTarget(record));
  }
  if (record !== null) {
    // A loser whose key backfill copied meanwhile finds there what it expects, and tries again on that.
    if (expect !== null && record.copiedFrom === expect.version) {
      return writeTarget(write, { version: record.version }, rules, stage);
    }
    // Without marks nobody can tell a copied record from one that was written since.
    if (expect !== null && !rules.tombstones) return { kind: 'end', result: { kind: 'outdated' } };
    return unmet(ofTarget(record));
  }
  const mayFallBack = rules.reads === 'target-then-source' && !tombstone && stage.inSource !== null;
  if (mayFallBack) return askSource({ kind: 'read' });
  return expect === null ? writeTarget(write, 'absent', rules, stage) : unmet<V>(null);
}

/** A put with a TTL writes the tombstone too: once the lease has ended, nothing may fall back to what lies under it. */
function writeTarget<V>(write: Write<V>, expect: TargetExpectation, rules: ModeRules, stage: Stage<V>): Turn<V> {
  const outlives = write.kind === 'delete' || write.ttlMs !== null;
  const tombstone = !rules.tombstones ? 'leave' : outlives ? 'write' : 'clear';
  return { kind: 'ask', request: { store: 'target', ask: { kind: 'write', write, expect, tombstone } }, stage };
}

const askSource = <V>(ask: SourceRequest<V>): Turn<V> => ({
  kind: 'ask',
  request: { store: 'source', ask },
  stage: start,
});
const askTarget = <V>(ask: TargetRequest<V>): Turn<V> => ({
  kind: 'ask',
  request: { store: 'target', ask },
  stage: start,
});
const read = <V>(record: TokenRecord<V> | null): Turn<V> => ({ kind: 'end', result: { kind: 'read', record } });
const unmet = <V>(current: TokenRecord<V> | null): Turn<V> => ({ kind: 'end', result: { kind: 'unmet', current } });

function tokenOf(store: Token['store'], version: Version | null): Token | null {
  return version === null ? null : { store, version };
}

function ofSource<V>(record: SourceRecord<V> | null): TokenRecord<V> | null {
  return record === null ? null : { value: record.value, token: { store: 'source', version: record.version } };
}

function ofTarget<V>({ value, version, copiedFrom }: TargetRecord<V>): TokenRecord<V> {
  return {
    value,
    token: copiedFrom === null ? { store: 'target', version } : { store: 'source', version: copiedFrom },
  };
}
