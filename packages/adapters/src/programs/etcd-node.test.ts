/**
 * Goal: a node is written as etcdctl writes it. Method: the forms that Go's encoder gives them, as an etcdctl 3.4 wrote them
 * (the contract test compares whole directories with it).
 */
import { keyFromText, type Key, type ProgramInput, type Version } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { nodeJson } from './etcd-node.ts';

const nowMs = Date.UTC(2030, 0, 1);

function record(key: string, value: string | Uint8Array, more: object = {}): ProgramInput {
  return {
    kind: 'record',
    key: keyFromText(key),
    sourceKey: keyFromText(key),
    value: typeof value === 'string' ? Buffer.from(value) : value,
    version: '9' as Version,
    created: '4' as Version,
    expiresAtMs: null,
    ...more,
  };
}

describe('a node for a transformer', () => {
  it.each([
    {
      name: 'a file',
      input: record('/a/b', 'v'),
      want: '{"key":"/a/b","value":"v","modifiedIndex":9,"createdIndex":4}',
    },
    { name: 'no value', input: record('/a', ''), want: '{"key":"/a","value":"","modifiedIndex":9,"createdIndex":4}' },
    {
      name: 'what Go escapes',
      input: record('/<&>', 'a"b\\c\n\r\t\b\f\u0001\u2028é😀'),
      want: String.raw`{"key":"/\u003c\u0026\u003e","value":"a\"b\\c\n\r\t\u0008\u000c\u0001\u2028é😀","modifiedIndex":9,"createdIndex":4}`,
    },
    {
      name: 'an expiry with a fraction',
      input: record('/a', 'v', { expiresAtMs: nowMs + 1500 }),
      want: '{"key":"/a","value":"v","expiration":"2030-01-01T00:00:01.5Z","ttl":2,"modifiedIndex":9,"createdIndex":4}',
    },
    {
      name: 'an expiry at a full second that has come',
      input: record('/a', 'v', { expiresAtMs: nowMs }),
      want: '{"key":"/a","value":"v","expiration":"2030-01-01T00:00:00Z","modifiedIndex":9,"createdIndex":4}',
    },
    {
      name: 'no createdIndex, where the source does not tell',
      input: record('/a', 'v', { created: null }),
      want: '{"key":"/a","value":"v","modifiedIndex":9}',
    },
    {
      name: 'a directory',
      input: { kind: 'directory', sourceKey: keyFromText('/a') } as const,
      want: '{"key":"/a","dir":true}',
    },
    { name: 'a value that is not text', input: record('/a', Buffer.of(0xff)), want: null },
    { name: 'a key that is not text', input: record('/a', 'v', { sourceKey: '/\xff' as Key }), want: null },
  ])('has the form of etcdctl for $name', ({ input, want }) => expect(nodeJson(input, nowMs)).toBe(want));
});
