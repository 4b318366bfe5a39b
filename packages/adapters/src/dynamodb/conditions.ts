/** What a write expects of the item in its way: nothing, or exactly what was read. */
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import type { Condition } from './connection.ts';
import type { Attributes } from './item-text.ts';
import type { Mapping } from './mapping.ts';

export const isAbsent = ({ hash }: Mapping): Condition => ({
  ConditionExpression: 'attribute_not_exists(#key)',
  ExpressionAttributeNames: { '#key': hash.name },
});

/** Operators of one expression (developer guide, "Quotas": 300, and 4 KB of text). */
const comparedMax = 120;

/**
 * Each attribute that was read has its value still, and those that a record may have and this one had not are not there.
 * An attribute of another name that somebody added since is not seen: an expression cannot ask for it.
 * @returns null for an item of more attributes than an expression can compare
 */
export function isExactly(mapping: Mapping, item: Attributes): Condition | null {
  const names = Object.keys(item).filter((name) => name !== mapping.hash.name && name !== mapping.sort?.name);
  if (names.length > comparedMax) return null;
  const parts = ['attribute_exists(#key)'];
  const ExpressionAttributeNames: Record<string, string> = { '#key': mapping.hash.name };
  const ExpressionAttributeValues: Record<string, AttributeValue> = {};
  for (const [i, name] of names.entries()) {
    ExpressionAttributeNames[`#n${i}`] = name;
    ExpressionAttributeValues[`:v${i}`] = item[name] as AttributeValue;
    parts.push(`#n${i} = :v${i}`);
  }
  const absent = optionalNames(mapping).filter((name) => item[name] === undefined);
  for (const [i, name] of absent.entries()) {
    ExpressionAttributeNames[`#a${i}`] = name;
    parts.push(`attribute_not_exists(#a${i})`);
  }
  return {
    ConditionExpression: parts.join(' AND '),
    ExpressionAttributeNames,
    ...(names.length === 0 ? {} : { ExpressionAttributeValues }),
  };
}

const optionalNames = ({ value, ttl, leaveOut }: Mapping): readonly string[] => [
  ...(value.from === 'attribute' ? [value.name] : []),
  ...(ttl === null ? [] : [ttl]),
  ...leaveOut,
];
