/**
 * Goal: a tree that was written is the same records when it is read, in any shape.
 * Method: laws over generated keys through the reader of etcd v2's own answers; the exact form of a small tree.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyFromText, type Key } from '@keyferry/core';
import { anyLeafNames } from '@keyferry/core/testing';
import { TreeWalker, type TreeNode } from '../etcd-v2/tree-walker.ts';
import { TreeJson, type TreeRecord } from './tree-json.ts';
import { fromTreeKey, toTreeKey } from './tree-order.ts';

const nowMs = Date.parse('2026-01-01T00:00:00Z');

function write(records: readonly TreeRecord[]): string {
  const json = new TreeJson(nowMs);
  return records.map((record) => json.record(record)).join('') + json.end();
}

function read(text: string): readonly TreeNode[] {
  const nodes: TreeNode[] = [];
  const broken = (detail: string): Error => new TypeError(detail);
  const walker = new TreeWalker({ node: (node) => nodes.push(node), broken });
  walker.write(Buffer.from(text));
  walker.end();
  return nodes;
}

const inTreeOrder = (keys: readonly string[]): readonly string[] =>
  keys.toSorted((a, b) => (toTreeKey(keyFromText(a)) < toTreeKey(keyFromText(b)) ? -1 : 1));

describe('tree order', () => {
  it('puts a directory before its siblings whose names go on', () =>
    expect(inTreeOrder(['/a-b', '/a.b', '/a/b', '/a/c-d', '/a/c/d', '/a0', '/A', '/é'])).toEqual([
      '/A',
      '/a/b',
      '/a/c/d',
      '/a/c-d',
      '/a-b',
      '/a.b',
      '/a0',
      '/é',
    ]));

  it('law: has one way back for every key, and is the order of the parts between slashes', () => {
    const anyKey = fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString('latin1') as Key);
    const part = fc
      .array(fc.constantFrom('a', '-', '0', '\xff'), { minLength: 1, maxLength: 3 })
      .map((c) => c.join(''));
    const path = fc.array(part, { minLength: 1, maxLength: 3 });
    fc.assert(fc.property(anyKey, (key) => fromTreeKey(toTreeKey(key)) === key));
    fc.assert(
      fc.property(path, path, (a, b) => {
        const [one, other] = [toTreeKey(`/${a.join('/')}` as Key), toTreeKey(`/${b.join('/')}` as Key)];
        expect(one < other).toBe(comesFirst(a, b));
      }),
    );
  });
});

function comesFirst(a: readonly string[], b: readonly string[]): boolean {
  for (const [at, part] of a.entries()) {
    const other = b[at];
    if (other === undefined) return false;
    if (part !== other) return part < other;
  }
  return a.length < b.length;
}

describe('TreeJson', () => {
  it('writes what a server answers, with directories where keys have them', () => {
    const records = [
      { key: '/a/b', value: '1', expiresAtMs: null },
      { key: '/a/c/d', value: '"2"', expiresAtMs: nowMs + 90_500 },
      { key: '/a-b', value: '', expiresAtMs: null },
    ];
    expect(JSON.parse(write(records))).toEqual({
      action: 'get',
      node: {
        dir: true,
        nodes: [
          {
            key: '/a',
            dir: true,
            nodes: [
              { key: '/a/b', value: '1', modifiedIndex: 1, createdIndex: 1 },
              {
                key: '/a/c',
                dir: true,
                nodes: [
                  {
                    key: '/a/c/d',
                    value: '"2"',
                    expiration: '2026-01-01T00:01:30.500Z',
                    ttl: 91,
                    modifiedIndex: 2,
                    createdIndex: 2,
                  },
                ],
                modifiedIndex: 2,
                createdIndex: 2,
              },
            ],
            modifiedIndex: 1,
            createdIndex: 1,
          },
          { key: '/a-b', value: '', modifiedIndex: 3, createdIndex: 3 },
        ],
      },
    });
  });

  it('of no records is an empty tree', () => {
    expect(JSON.parse(write([]))).toEqual({ action: 'get', node: { dir: true } });
    expect(read(write([]))).toEqual([]);
  });

  it('law: reading gives the records that were written', () => {
    const anyTexts = fc.array(
      fc.string({
        unit: fc.constantFrom('a', '"', '\\', '\n', '\u0000', '\u2028', '\ufeff', 'é', '😀'),
        maxLength: 20,
      }),
      { minLength: 1, maxLength: 5 },
    );
    fc.assert(
      fc.property(anyLeafNames, anyTexts, (names, texts) => {
        const keys = inTreeOrder(names.map((name) => `/${name}`));
        const written = keys.map((key, i) => ({
          key,
          value: texts[i % texts.length] ?? '',
          expiresAtMs: i % 3 === 0 ? nowMs + i * 1500 : null,
        }));
        const files = read(write(written)).filter(({ value }) => value !== null);
        expect(files.map(({ key, value, expiresAtMs }) => ({ key, value, expiresAtMs }))).toEqual(written);
      }),
    );
  });
});
