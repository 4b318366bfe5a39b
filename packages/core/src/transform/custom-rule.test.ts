/**
 * Goal: nothing that a module of the user answers gets through unchecked, and no value of a record into what is said.
 * Method: one module for each way to be wrong; the law of the way back over records.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyFromBytes, keyFromText, type Key } from '../model/key.ts';
import { customRule, ruleModuleFault, type RuleAnswer, type RuleFunction, type RuleModule } from './custom-rule.ts';
import type { Moving } from './transform.ts';

const moving = (key: Key = keyFromText('/é'), value = 'hunter2'): Moving => ({
  key,
  value: new TextEncoder().encode(value),
  expiresAtMs: null,
});
const apply = (module: RuleModule | RuleFunction, record = moving()) =>
  customRule('./rules/r.ts', typeof module === 'function' ? { transform: module } : module).apply(record);

const reversed: RuleFunction = (record) => ({
  kind: 'kept',
  record: { ...record, key: Array.from(record.key).toReversed().join(''), value: record.value.toReversed() },
});

describe('a rule of the user', () => {
  it('gets the key as text and may change all of a record', () => {
    const outcome = apply(({ key }) => ({
      kind: 'kept',
      record: { key: `${key}/ü`, value: Uint8Array.of(1), expiresAtMs: 5 },
    }));
    expect(outcome).toEqual({
      kind: 'kept',
      record: { key: keyFromText('/é/ü'), value: Uint8Array.of(1), expiresAtMs: 5 },
    });
  });

  it('may leave a record out, and may say why it cannot be', () => {
    expect(apply(() => ({ kind: 'dropped' }))).toEqual({ kind: 'dropped', reason: 'rule.dropped' });
    expect(apply(() => ({ kind: 'failed', why: 'no\u001b version' }))).toEqual({
      kind: 'failed',
      detail: 'module ./rules/r.ts says: no\\u001b version',
    });
  });

  let calls = 0;
  it.each<{ name: string; module: RuleModule | RuleFunction; says: string; record?: Moving }>([
    {
      name: 'a promise',
      module: (() => Promise.resolve({ kind: 'dropped' })) as unknown as RuleFunction,
      says: 'promise',
    },
    { name: 'nothing', module: (() => undefined) as unknown as RuleFunction, says: 'did not answer' },
    { name: 'an unknown kind', module: () => ({ kind: 'maybe' }) as unknown as RuleAnswer, says: 'did not answer' },
    {
      name: 'a value that is no bytes',
      module: ((record: object) => ({ kind: 'kept', record: { ...record, value: 'x' } })) as unknown as RuleFunction,
      says: 'did not answer',
    },
    {
      name: 'a key that is no text',
      module: (record) => ({ kind: 'kept', record: { ...record, key: '\ud800' } }),
      says: 'did not answer',
    },
    {
      name: 'an expiry that is no instant',
      module: (record) => ({ kind: 'kept', record: { ...record, expiresAtMs: Number.NaN } }),
      says: 'did not answer',
    },
    {
      name: 'another answer each time',
      module: (record) => ({ kind: 'kept', record: { ...record, key: `${(calls += 1)}` } }),
      says: 'otherwise when it was asked again',
    },
    { name: 'another key, against its word', module: { transform: reversed, keepsKeys: true }, says: 'keepsKeys' },
    {
      name: 'an inverse that does not lead back',
      module: { transform: reversed, inverse: (record) => ({ kind: 'kept', record }) },
      says: 'does not lead back',
    },
    {
      name: 'a key that it cannot be given',
      module: reversed,
      record: moving(keyFromBytes(Uint8Array.of(0xff))),
      says: 'not UTF-8',
    },
  ])('fails the record on $name, and is named', ({ module, says, record }) => {
    expect(apply(module, record)).toEqual({
      kind: 'failed',
      detail: expect.stringMatching(new RegExp(`^module \\./rules/r\\.ts .*${says}`)) as unknown,
    });
  });

  it('that throws is told by name, without the value that the message quotes', () => {
    const outcome = apply((record) => JSON.parse(new TextDecoder().decode(record.value)) as RuleAnswer);
    expect(outcome).toEqual({ kind: 'failed', detail: expect.stringContaining('threw SyntaxError') as unknown });
    expect(JSON.stringify(outcome)).not.toContain('hunter2');
  });

  it('gets a copy of the value: what it does to it is not seen elsewhere', () => {
    const record = moving();
    apply((given) => {
      given.value.fill(0);
      return { kind: 'dropped' };
    }, record);
    expect(record).toEqual(moving());
  });

  it('law: inverse(forward(x)) = x where it has an inverse', () =>
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 9 }), fc.string(), (key, value) => {
        const transform = customRule('r.ts', { transform: reversed, inverse: reversed });
        const record = moving(keyFromText(key), value);
        const forward = transform.apply(record);
        if (forward.kind !== 'kept') return;
        expect(transform.inverse?.apply(forward.record)).toEqual({ kind: 'kept', record });
      }),
    ));

  it('keeps the order of keys only where it says that it keeps keys', () => {
    expect(customRule('r.ts', { transform: reversed }).reprefix(keyFromText('/a/'))).toBeNull();
    expect(customRule('r.ts', { transform: reversed, keepsKeys: true }).reprefix(keyFromText('/a/'))).toBe('/a/');
    expect(customRule('r.ts', { transform: reversed }).inverse).toBeNull();
  });
});

describe('what a module exports', () => {
  it.each([
    [undefined, 'is not { transform'],
    [reversed, 'is not { transform'],
    [{}, 'no function transform'],
    [{ transform: reversed, inverse: 1 }, 'inverse is not a function'],
    [{ transform: reversed, keepsKeys: 'yes' }, 'keepsKeys is not true or false'],
    [{ transform: reversed, keepKeys: true }, 'has keepKeys'],
  ])('%o is told from a module of rules', (exported, fault) => expect(ruleModuleFault(exported)).toContain(fault));

  it('is one with all its parts', () =>
    expect(ruleModuleFault({ transform: reversed, inverse: reversed, keepsKeys: false })).toBeNull());
});
