/**
 * Goal: the walker finds exactly the nodes of a tree, however its bytes are cut, and takes nothing else for a tree.
 * Method: a law against JSON.parse over generated trees and cuts; broken documents as a table.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TreeWalker, type TreeNode } from './tree-walker.ts';

interface Json {
  key: string;
  value?: string;
  dir?: true;
  expiration?: string;
  nodes?: Json[];
  modifiedIndex: number;
  createdIndex: number;
}

const expirations = [undefined, '2030-01-01T00:00:00Z', '2040-06-01T12:00:00.123456789Z', '2020-01-01T00:00:00+02:00'];
const anyTree: fc.Arbitrary<Json> = fc.letrec<{ node: Json }>((tie) => ({
  node: fc
    .record({
      name: fc.string({ unit: 'binary', minLength: 1, maxLength: 4 }).filter((name) => !name.includes('/')),
      value: fc.string({ unit: 'binary' }),
      children: fc.option(fc.array(tie('node'), { maxLength: 3 })),
      expiration: fc.constantFrom(...expirations),
      index: fc.maxSafeNat(),
    })
    .map(({ name, value, children, expiration, index }) => ({
      key: `/${name}`,
      ...(children === null ? { value } : { dir: true as const }),
      ...(expiration !== undefined && { expiration }),
      ...(children !== null && children.length > 0 && { nodes: children }),
      modifiedIndex: index,
      createdIndex: Math.trunc(index / 2),
    })),
})).node;

/** Children's keys hold their parents' as etcd writes them. */
function named(node: Json, parent: string): Json {
  const key = `${parent}${node.key}`;
  return { ...node, key, ...(node.nodes && { nodes: node.nodes.map((child) => named(child, key)) }) };
}

function expected(node: Json, above: number | null): TreeNode[] {
  const own = node.expiration === undefined ? null : Date.parse(node.expiration);
  const expiresAtMs = own === null ? above : above === null ? own : Math.min(own, above);
  const { key, value = null, nodes = [], modifiedIndex, createdIndex } = node;
  const children = nodes.flatMap((child) => expected(child, expiresAtMs));
  return [
    ...children,
    {
      key,
      value,
      hasChildren: nodes.length > 0,
      modifiedIndex: String(modifiedIndex),
      createdIndex: String(createdIndex),
      expiresAtMs,
    },
  ];
}

function walk(bytes: Uint8Array, pieceBytes: number): TreeNode[] {
  const found: TreeNode[] = [];
  const walker = new TreeWalker({
    node: (node) => found.push(node),
    broken: (detail, offset) => new RangeError(`${detail} @${offset}`),
  });
  for (let at = 0; at < bytes.length; at += pieceBytes) walker.write(bytes.subarray(at, at + pieceBytes));
  walker.end();
  return found;
}

const walkText = (text: string): TreeNode[] => walk(Buffer.from(text), 1 << 16);

describe('the tree walker', () => {
  it('law: finds the nodes that JSON.parse finds, wherever the bytes are cut', () =>
    fc.assert(
      fc.property(fc.array(anyTree, { maxLength: 3 }), fc.integer({ min: 1, max: 40 }), (children, pieceBytes) => {
        const nodes = children.map((child) => named(child, ''));
        const document = { action: 'get', node: { dir: true, ...(nodes.length > 0 && { nodes }) } };
        const found = walk(Buffer.from(JSON.stringify(document)), pieceBytes);
        expect(found).toEqual(nodes.flatMap((node) => expected(node, null)));
      }),
    ));

  it('passes over fields that it does not know, whatever they hold', () => {
    const unknown = '"x":{"key":"/no","nodes":[{"value":[1,{}]}]},"y":[[{"modifiedIndex":1}]],"ttl":5,"z":null';
    expect(
      walkText(`{${unknown},"action":"get","node":{${unknown},"key":"/a","value":"v","modifiedIndex":3}}`),
    ).toEqual([
      { key: '/a', value: 'v', hasChildren: false, modifiedIndex: '3', createdIndex: null, expiresAtMs: null },
    ]);
  });

  it('keeps an index that is larger than a number holds exactly', () => {
    const [node] = walkText('{"node":{"key":"/a","value":"","modifiedIndex":18446744073709551615}}');
    expect(node?.modifiedIndex).toBe('18446744073709551615');
  });

  it.each([
    { name: 'as it is', mark: '\ufeff' },
    { name: 'escaped', mark: String.raw`\ufeff` },
  ])('keeps a byte order mark wherever it stands in a key or value, $name', ({ mark }) => {
    const text = `{"node":{"key":"/${mark}a${mark}ü${mark}","value":"${mark}${mark}v","modifiedIndex":3}}`;
    const want = [{ key: '/\ufeffa\ufeffü\ufeff', value: '\ufeff\ufeffv' }];
    for (const pieceBytes of [1, 2, 3, 5, 1000]) expect(walk(Buffer.from(text), pieceBytes)).toMatchObject(want);
  });

  const file = '{"key":"/a","value":"v","modifiedIndex":3}';
  it.each([
    { name: 'nothing', text: '', says: /ends too early/ },
    { name: 'blanks', text: ' \n', says: /ends too early/ },
    { name: 'an open object', text: `{"node":${file}`, says: /ends too early/ },
    { name: 'an open string', text: '{"node":{"key":"/a', says: /ends too early/ },
    { name: 'two documents', text: `{"node":${file}}{"node":${file}}`, says: /not JSON/ },
    { name: 'two roots', text: `{"node":${file},"node":${file}}`, says: /two root nodes/ },
    { name: 'a list', text: `[${file}]`, says: /a list/ },
    { name: 'a bare value', text: '"x"', says: /bare value/ },
    { name: 'no node', text: '{"action":"get"}', says: /no "node"/ },
    { name: 'a node that is none', text: '{"node":null}', says: /"node" is not an object/ },
    { name: 'the answer to a set', text: `{"action":"set","node":${file}}`, says: /answers a set/ },
    {
      name: 'an error',
      text: '{"errorCode":100,"message":"Key not found","cause":"/x","index":3}',
      says: /error answer: 100 Key not found \/x/,
    },
    { name: 'a comma too many', text: `{"node":${file},}`, says: /not JSON/ },
    { name: 'a colon for a comma', text: `{"node":${file}:"a"}`, says: /not JSON/ },
    { name: 'mismatched brackets', text: `{"node":{"dir":true,"nodes":[${file}}]}`, says: /not JSON/ },
    {
      name: 'no key below the root',
      text: '{"node":{"dir":true,"nodes":[{"value":"v","modifiedIndex":1}]}}',
      says: /no "key"/,
    },
    { name: 'a file without a key', text: '{"node":{"value":"v","modifiedIndex":1}}', says: /no "key"/ },
    { name: 'a relative key', text: '{"node":{"key":"a","value":"v","modifiedIndex":1}}', says: /start with a slash/ },
    { name: 'no index', text: '{"node":{"key":"/a","value":"v"}}', says: /no "modifiedIndex"/ },
    {
      name: 'neither value nor dir',
      text: '{"node":{"key":"/a","modifiedIndex":1}}',
      says: /either a "value" or "dir"/,
    },
    {
      name: 'value and dir',
      text: '{"node":{"key":"/a","value":"","dir":true,"modifiedIndex":1}}',
      says: /either a "value"/,
    },
    { name: 'a value that is a number', text: '{"node":{"key":"/a","value":1,"modifiedIndex":1}}', says: /wrong type/ },
    {
      name: 'a value that is an object',
      text: '{"node":{"key":"/a","value":{},"modifiedIndex":1}}',
      says: /"value" is an object/,
    },
    { name: 'an index that is text', text: '{"node":{"key":"/a","value":"","modifiedIndex":"1"}}', says: /wrong type/ },
    {
      name: 'half of a character',
      text: String.raw`{"node":{"key":"/a","value":"\ud800","modifiedIndex":1}}`,
      says: /wrong type/,
    },
    {
      name: 'an expiration that is no time',
      text: '{"node":{"key":"/a","value":"","expiration":"soon","modifiedIndex":1}}',
      says: /not a time/,
    },
    { name: 'a bare child', text: '{"node":{"dir":true,"nodes":["x"]}}', says: /bare value/ },
    {
      name: 'an expiration behind children',
      text: `{"node":{"key":"/d","dir":true,"nodes":[${file}],"expiration":"2030-01-01T00:00:00Z","modifiedIndex":1}}`,
      says: /after its "nodes"/,
    },
  ])('refuses $name', ({ text, says }) => expect(() => walkText(text)).toThrow(says));

  it('refuses bytes that are not UTF-8', () => {
    const bytes = Buffer.from('{"node":{"key":"/a","value":"?","modifiedIndex":1}}');
    bytes[bytes.indexOf('?')] = 0xff;
    expect(() => walk(bytes, 1000)).toThrow(/not UTF-8/);
  });
});
