/**
 * Goal: an item becomes one text and the same item again; nothing else is taken for one.
 * Method: a law over generated items of every type, then texts that differ from the one form in one thing.
 */
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { attributesBytes, attributesOfText, textOfAttributes } from './item-text.ts';

const anyBytes = fc.uint8Array({ maxLength: 8 });
const anyNumber = fc.oneof(
  fc.maxSafeInteger().map((n) => ({ N: String(n === 0 ? 0 : n) })),
  fc.constantFrom({ N: '12.5' }, { N: '0.001' }, { N: '-3' }, { N: '1E+100' }),
);
const { anyValue } = fc.letrec<{ anyValue: AttributeValue }>((tie) => ({
  anyValue: fc.oneof(
    { maxDepth: 3 },
    fc.string().map((S) => ({ S })),
    anyNumber,
    anyBytes.map((B) => ({ B })),
    fc.boolean().map((BOOL) => ({ BOOL })),
    fc.constant({ NULL: true as const }),
    fc.uniqueArray(fc.string(), { minLength: 1, maxLength: 4 }).map((SS) => ({ SS })),
    fc.uniqueArray(fc.nat(), { minLength: 1, maxLength: 4 }).map((each) => ({ NS: each.map(String) })),
    fc.uniqueArray(anyBytes, { minLength: 1, maxLength: 4, selector: (bytes) => bytes.join() }).map((BS) => ({ BS })),
    fc.array(tie('anyValue'), { maxLength: 3 }).map((L) => ({ L })),
    fc.dictionary(fc.string(), tie('anyValue'), { maxKeys: 3, noNullPrototype: true }).map((M) => ({ M })),
  ),
}));
const anyItem = fc.dictionary(fc.string({ minLength: 1 }), anyValue, { maxKeys: 5, noNullPrototype: true });
const bytesOf = (text: string) => Buffer.from(text);

describe('the text of an item', () => {
  it('law: leads back to an item of the same text', () =>
    fc.assert(
      fc.property(anyItem, (item) => {
        const text = textOfAttributes(item);
        const back = attributesOfText(bytesOf(text));
        expect(back).not.toBeNull();
        expect(textOfAttributes(back ?? {})).toBe(text);
        expect(attributesBytes(back ?? {})).toBe(attributesBytes(item));
      }),
    ));

  it('has names and members of sets in byte order, whatever order they came in', () => {
    const one = textOfAttributes({
      b: { SS: ['z', 'a'] },
      a: { NS: ['3', '10'] },
      é: { BS: [Buffer.of(2), Buffer.of(1)] },
    });
    expect(one).toBe('{"a":{"NS":["10","3"]},"b":{"SS":["a","z"]},"é":{"BS":["AQ==","Ag=="]}}');
  });

  it('takes no more room than DynamoDB counts, give or take the frame', () =>
    fc.assert(fc.property(anyItem, (item) => attributesBytes(item) <= 2 * textOfAttributes(item).length + 8)));
});

it.each([
  ['is no JSON', '{'],
  ['is no object', '[]'],
  ['has white space', '{ "a":{"S":"x"}}'],
  ['has names out of order', '{"b":{"S":"x"},"a":{"S":"x"}}'],
  ['has a value without a type', '{"a":"x"}'],
  ['has two types', '{"a":{"S":"x","N":"1"}}'],
  ['has an unknown type', '{"a":{"X":"x"}}'],
  ['has a number with a plus', '{"a":{"N":"+1"}}'],
  ['has a number with a zero in front', '{"a":{"N":"01"}}'],
  ['has a number with a zero behind its point', '{"a":{"N":"1.50"}}'],
  ['has minus nought', '{"a":{"N":"-0"}}'],
  ['has 39 digits', `{"a":{"N":"${'1'.repeat(39)}"}}`],
  ['has an empty set', '{"a":{"SS":[]}}'],
  ['has a set with a member twice', '{"a":{"SS":["x","x"]}}'],
  ['has a set out of order', '{"a":{"SS":["z","a"]}}'],
  ['has base64 that is not base64', '{"a":{"B":"?"}}'],
  ['is nested too deep', `${'{"a":{"M":'.repeat(40)}{}${'}}'.repeat(40)}`],
])('a text that %s is no item', (_, text) => expect(attributesOfText(bytesOf(text))).toBeNull());

it('bytes that are not UTF-8 are no item', () => expect(attributesOfText(Buffer.from([0x7b, 0xff, 0x7d]))).toBeNull());
