/**
 * Fixtures: what the rules of a migration are expected to make of a record, and whether they do.
 *
 * A record goes the way it goes in a plan: its key gets the target prefix, then the transform sees it. What an expectation
 * does not name stays as it was, so that a rule that also changes something else does not pass unseen.
 */
import { compareKeys, keyForDisplay, type Key } from '../model/key.ts';
import type { NotCarriedReason } from '../model/record.ts';
import { toTargetKey, type PrefixRule } from './prefix-rule.ts';
import type { Moving, Transform, TransformOutcome } from './transform.ts';

/** Expiries of fixtures count from here: a rule must not depend on when it is tested. */
const fixtureNowMs = Date.UTC(2000, 0, 1);

export interface FixtureRecord {
  /** A key of the source, under the migration's prefix. */
  readonly key: Key;
  readonly value: Uint8Array;
  /** Time left; null: it never expires. */
  readonly ttlMs: number | null;
}

/** Bytes, or any text that is this JSON, whatever its spaces. */
export type ExpectedValue = Uint8Array | { readonly json: unknown };

export type Expectation =
  /** Undefined: as it was; of the key, as the prefixes alone make it. */
  | {
      readonly kind: 'kept';
      readonly key?: Key;
      readonly value?: ExpectedValue;
      readonly ttlMs?: number | null;
    }
  | { readonly kind: 'dropped'; readonly reason: NotCarriedReason | null }
  /** `detail`: a part of what the rule says; null: anything. */
  | { readonly kind: 'failed'; readonly detail: string | null };

export interface Fixture {
  readonly given: FixtureRecord;
  readonly expect: Expectation;
}

export interface FixtureDifference {
  readonly what: 'outcome' | 'key' | 'value' | 'ttl' | 'reason' | 'detail';
  readonly expected: string;
  readonly actual: string;
}

/** @returns how the rules differ from what is expected of them; empty: they do not. */
export function checkFixture(
  { given, expect }: Fixture,
  rule: PrefixRule,
  transform: Transform | null,
): readonly FixtureDifference[] {
  const record = recordOfFixture(given, rule);
  return compareOutcome(expect, record, transform === null ? { kind: 'kept', record } : transform.apply(record));
}

/** The record of a case as the rules see it. */
export function recordOfFixture({ key, value, ttlMs }: FixtureRecord, rule: PrefixRule): Moving {
  return { key: toTargetKey(rule, key), value, expiresAtMs: expiryOf(ttlMs) };
}

/**
 * The same for what something else than a transform made of the record, which may be several; empty: nothing that can be
 * traced to it.
 */
export function checkOutcomes(
  { given, expect }: Fixture,
  rule: PrefixRule,
  outcomes: readonly TransformOutcome[],
): readonly FixtureDifference[] {
  const [outcome, ...more] = outcomes;
  if (outcome !== undefined && more.length === 0) return compareOutcome(expect, recordOfFixture(given, rule), outcome);
  const actual = outcomes.length === 0 ? 'nothing that can be traced to it' : outcomes.map(outcomeText).join('; ');
  return [{ what: 'outcome', expected: expectationText(expect), actual }];
}

function compareOutcome(expect: Expectation, record: Moving, outcome: TransformOutcome): readonly FixtureDifference[] {
  if (outcome.kind !== expect.kind) {
    return [{ what: 'outcome', expected: expectationText(expect), actual: outcomeText(outcome) }];
  }
  switch (outcome.kind) {
    case 'kept':
      return keptDifferences(outcome.record, record, expect as Extract<Expectation, { kind: 'kept' }>);
    case 'dropped': {
      const { reason } = expect as Extract<Expectation, { kind: 'dropped' }>;
      if (reason === null || reason === outcome.reason) return [];
      return [{ what: 'reason', expected: reason, actual: outcome.reason }];
    }
    case 'failed': {
      const { detail } = expect as Extract<Expectation, { kind: 'failed' }>;
      if (detail === null || outcome.detail.includes(detail)) return [];
      return [{ what: 'detail', expected: detail, actual: outcome.detail }];
    }
  }
}

type Kept = Extract<TransformOutcome, { kind: 'kept' }>['record'];

function keptDifferences(
  actual: Kept,
  given: Kept,
  expect: Extract<Expectation, { kind: 'kept' }>,
): readonly FixtureDifference[] {
  const differences: FixtureDifference[] = [];
  const key = expect.key ?? given.key;
  if (compareKeys(actual.key, key) !== 0) {
    differences.push({ what: 'key', expected: keyForDisplay(key), actual: keyForDisplay(actual.key) });
  }
  const value = expect.value ?? given.value;
  if (!valueIs(actual.value, value)) {
    differences.push({ what: 'value', expected: expectedValueText(value), actual: valueText(actual.value) });
  }
  const expiresAtMs = expect.ttlMs === undefined ? given.expiresAtMs : expiryOf(expect.ttlMs);
  if (actual.expiresAtMs !== expiresAtMs) {
    differences.push({ what: 'ttl', expected: ttlText(expiresAtMs), actual: ttlText(actual.expiresAtMs) });
  }
  return differences;
}

const expiryOf = (ttlMs: number | null): number | null => (ttlMs === null ? null : fixtureNowMs + ttlMs);

function valueIs(actual: Uint8Array, expected: ExpectedValue): boolean {
  if (expected instanceof Uint8Array) return bytesEqual(actual, expected);
  const text = textOf(actual);
  if (text === null) return false;
  try {
    return sameJson(JSON.parse(text), expected.json);
  } catch {
    return false; // no JSON is a difference like any other
  }
}

const bytesEqual = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);

function sameJson(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || a === null || typeof b !== 'object' || b === null) return a === b;
  const [names, others] = [Object.keys(a), Object.keys(b)];
  if (Array.isArray(a) !== Array.isArray(b) || names.length !== others.length) return false;
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  return names.every((name) => Object.hasOwn(right, name) && sameJson(left[name], right[name]));
}

function expectationText(expect: Expectation): string {
  switch (expect.kind) {
    case 'kept':
      return 'carried';
    case 'dropped':
      return expect.reason === null ? 'dropped' : `dropped: ${expect.reason}`;
    case 'failed':
      return expect.detail === null ? 'failed' : `failed: ${expect.detail}`;
  }
}

function outcomeText(outcome: TransformOutcome): string {
  switch (outcome.kind) {
    case 'kept':
      return `carried: ${keyForDisplay(outcome.record.key)} ${valueText(outcome.record.value)}`;
    case 'dropped':
      return `dropped: ${outcome.reason}`;
    case 'failed':
      return `failed: ${outcome.detail}`;
  }
}

const shownMax = 200;
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOf(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null; // fatal decoding is the test
  }
}

function valueText(bytes: Uint8Array): string {
  const text = textOf(bytes);
  const whole = text === null ? `base64:${base64(bytes)}` : JSON.stringify(text);
  return whole.length > shownMax ? `${whole.slice(0, shownMax)}… (${bytes.length} B)` : whole;
}

const base64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes.subarray(0, shownMax)));

const expectedValueText = (value: ExpectedValue): string =>
  value instanceof Uint8Array ? valueText(value) : `JSON ${JSON.stringify(value.json)}`;

const ttlText = (expiresAtMs: number | null): string =>
  expiresAtMs === null ? 'none' : `${expiresAtMs - fixtureNowMs} ms`;
