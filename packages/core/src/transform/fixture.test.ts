/** Goal: a fixture passes if and only if the rules do what it says, and nothing besides. Method: both sides of each edge. */
import { describe, expect, it } from 'vitest';
import { keyFromText, type Key } from '../model/key.ts';
import { checkFixture, type Expectation, type FixtureRecord } from './fixture.ts';
import { decodeBase64, editJson } from './map-value.ts';
import { selectKeys } from './select-keys.ts';
import { compose, type Transform } from './transform.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const rule = { sourcePrefix: keyFromText('/old/'), targetPrefix: keyFromText('/new/') };
const given = (value: string, key = '/old/a', ttlMs: number | null = null): FixtureRecord => ({
  key: keyFromText(key),
  value: bytes(value),
  ttlMs,
});
const noTmp = selectKeys('exclude /new/tmp/**', (key: Key) => !key.startsWith('/new/tmp/'));
const whats = (record: FixtureRecord, expectation: Expectation, transform: Transform | null): string[] =>
  checkFixture({ given: record, expect: expectation }, rule, transform).map(({ what }) => what);

describe('checkFixture', () => {
  it.each<[string, FixtureRecord, Expectation, Transform | null, string[]]>([
    ['no rules, nothing named', given('v'), { kind: 'kept' }, null, []],
    ['the key of the target', given('v'), { kind: 'kept', key: keyFromText('/new/a') }, null, []],
    ['the key of the source', given('v'), { kind: 'kept', key: keyFromText('/old/a') }, null, ['key']],
    ['a value that is decoded', given('YQ=='), { kind: 'kept', value: bytes('a') }, decodeBase64(), []],
    ['a value that was to stay', given('YQ=='), { kind: 'kept' }, decodeBase64(), ['value']],
    ['a record that is left out', given('v', '/old/tmp/x'), { kind: 'dropped', reason: 'rule.excluded' }, noTmp, []],
    ['another reason', given('v', '/old/tmp/x'), { kind: 'dropped', reason: 'dir.empty' }, noTmp, ['reason']],
    ['a record that is carried after all', given('v'), { kind: 'dropped', reason: null }, noTmp, ['outcome']],
    ['a record that was to be carried', given('v', '/old/tmp/x'), { kind: 'kept' }, noTmp, ['outcome']],
    ['a rule that cannot', given('*'), { kind: 'failed', detail: null }, decodeBase64(), []],
    [
      'a rule that cannot for another reason',
      given('*'),
      { kind: 'failed', detail: 'xyz' },
      decodeBase64(),
      ['detail'],
    ],
    ['a time that stays', given('v', '/old/a', 5000), { kind: 'kept', ttlMs: 5000 }, null, []],
    ['a time that was to end', given('v', '/old/a', 5000), { kind: 'kept', ttlMs: null }, null, ['ttl']],
  ])('%s', (_name, record, expectation, transform, want) => {
    expect(whats(record, expectation, transform)).toEqual(want);
  });

  it('compares JSON by what it means, and says both sides', () => {
    const transform = compose([editJson([{ kind: 'set', path: '/b', to: [1, null] }])]);
    const record = given('{ "a": 1 }');
    expect(whats(record, { kind: 'kept', value: { json: { b: [1, null], a: 1 } } }, transform)).toEqual([]);
    const [difference] = checkFixture(
      { given: record, expect: { kind: 'kept', value: { json: { a: 1 } } } },
      rule,
      transform,
    );
    const actual = JSON.stringify('{"a":1,"b":[1,null]}');
    expect(difference).toEqual({ what: 'value', expected: 'JSON {"a":1}', actual });
  });
});
