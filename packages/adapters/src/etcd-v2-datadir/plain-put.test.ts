/**
 * Goal: what is read where it lies is what the message says, for whatever bytes; and a tree that is filled so is the one that
 * is filled request by request. Method: requests as etcd writes them, whole and with bytes changed, against the reader of all fields.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyDamage } from '../../test/damage.ts';
import { requestBytes, type RequestFields } from '../../test/datadir-writer.ts';
import { cleanPath } from './clean-path.ts';
import { PlainPut } from './plain-put.ts';
import { Malformed } from './protobuf.ts';
import { readEntryContent, type V2Request } from './request.ts';
import { treeDigest } from './tree-digest.ts';
import { V2Tree, type TreeOutcome } from './v2-tree.ts';

const segment = fc.constantFrom('a', 'b', 'config', '.', '..', '', '.x', 'x.', '_h', 'é', 'k'.repeat(200));
const path = fc
  .tuple(fc.constantFrom('/1', '/1', '/1', '/0', '/10', ''), fc.array(segment, { maxLength: 4 }))
  .map(([first, rest]) => [first, ...rest].join('/'));
const value = fc.oneof(fc.string({ maxLength: 40 }), fc.constant('v'.repeat(300)), fc.constant('v'.repeat(20_000)));
const rarely = <T>(each: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 12, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: each });
const request: fc.Arbitrary<RequestFields> = fc
  .record({
    method: fc.constantFrom('PUT', 'PUT', 'PUT', 'POST', 'DELETE'),
    path,
    value,
    dir: rarely(fc.boolean()),
    prevValue: rarely(fc.constantFrom('', 'v')),
    prevIndex: rarely(fc.nat(300)),
    prevExist: rarely(fc.boolean()),
    expiration: rarely(fc.constantFrom(0n, 4_102_444_800_000_000_000n)),
    recursive: rarely(fc.boolean()),
    refresh: rarely(fc.boolean()),
  })
  .map((each) => Object.fromEntries(Object.entries(each).filter(([, of]) => of !== undefined)) as never);

const text = (bytes: Buffer, start: number, end: number): string => bytes.toString('latin1', start, end);

/** Null: it is no message. */
function inFull(bytes: Buffer): V2Request | 'other' | null {
  try {
    const content = readEntryContent(bytes, 0, bytes.length);
    return content.kind === 'v2' ? content.request : 'other';
  } catch (error) {
    if (error instanceof Malformed) return null;
    throw error;
  }
}

/** What reading in place says, having looked that reading in full says the same; null: it leaves it to that. */
function inPlace(bytes: Buffer): PlainPut | null {
  // Other bytes lie on both sides, as in a log.
  const around = Buffer.concat([Buffer.from([0x28, 0]), bytes, Buffer.from([0, 0x32, 0, 0x80, 1, 0])]);
  const plain = new PlainPut();
  if (!plain.read(around, 2, 2 + bytes.length)) return null;
  const full = inFull(bytes);
  const { pathStart, nameStart, pathEnd, valueStart, valueEnd } = plain;
  const found = text(around, pathStart, pathEnd);
  expect(full).toMatchObject({
    method: 'PUT',
    path: found,
    value: text(around, valueStart, valueEnd),
    dir: false,
    prevValue: '',
    prevIndex: 0,
    prevExist: null,
    expiration: 0n,
    recursive: false,
    time: 0n,
    refresh: false,
  });
  expect(cleanPath(found)).toBe(found);
  expect(found.startsWith('/1/')).toBe(true);
  expect(nameStart).toBe(pathStart + found.lastIndexOf('/') + 1);
  return plain;
}

describe('a request that is read where it lies', () => {
  it('is each plain put of a key of the user', () => {
    for (const each of ['/1/a', '/1/a/b', `/1/${'deep/'.repeat(60)}x`, '/1/_hidden', '/1/a.b', '/1/é']) {
      for (const content of ['', 'x', 'y'.repeat(127), 'y'.repeat(128), 'z'.repeat(1_000_000)]) {
        expect(inPlace(requestBytes({ method: 'PUT', path: each, value: content }))).not.toBeNull();
      }
    }
  });

  it.each([
    '/1',
    '/1/',
    '/1//a',
    '/1/a/',
    '/1/./a',
    '/1/../0/x',
    '/1/.a',
    '/0/members/1/attributes',
    '/2/a',
    '1/a',
    '',
  ])('is none to the path "%s"', (each) =>
    expect(inPlace(requestBytes({ method: 'PUT', path: each, value: 'v' }))).toBeNull(),
  );

  it.each<Partial<RequestFields>>([
    { method: 'POST' },
    { method: 'DELETE' },
    { dir: true },
    { prevValue: 'v' },
    { prevIndex: 3 },
    { prevExist: true },
    { prevExist: false },
    { expiration: 1n },
    { recursive: true },
    { refresh: true },
    { refresh: false },
  ])('is none with %o', (more) => {
    expect(inPlace(requestBytes({ method: 'PUT', path: '/1/a', value: 'v', ...more }))).toBeNull();
  });

  it('law: says what the message says, or nothing, also where bytes are wrong', () => {
    let read = 0;
    fc.assert(
      fc.property(request, fc.array(anyDamage, { maxLength: 2 }), (each, damages) => {
        const bytes = damages.reduce(
          (spoiled, damage) => (spoiled.length > 0 ? damage(spoiled) : spoiled),
          requestBytes(each),
        );
        if (inPlace(bytes) !== null) read += 1;
      }),
      { numRuns: 2000 },
    );
    expect(read).toBeGreaterThan(0);
  });
});

it('law: a tree is the same whether plain puts are read in place or in full', () => {
  const rules = { directoriesCanBeUpdated: true, inOrderNamesArePadded: true };
  const never = { expiresAtNs: null, refresh: false };
  const step = fc.oneof(
    { weight: 8, arbitrary: fc.record({ do: fc.constant('put' as const), path, value }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('delete' as const), path, value }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const [one, other] = [V2Tree.empty(rules), V2Tree.empty(rules)];
      const outcomes: [TreeOutcome, TreeOutcome][] = [];
      for (const each of steps) {
        const bytes = requestBytes({ method: 'PUT', path: each.path, value: each.value });
        const { path: asked, valueSpan } = inFull(bytes) as V2Request;
        const inFullOutcome =
          each.do === 'delete' ? one.delete(asked, true, true) : one.set(asked, false, valueSpan, never);
        const plain = each.do === 'delete' ? null : inPlace(bytes);
        if (each.do === 'delete') outcomes.push([inFullOutcome, other.delete(asked, true, true)]);
        else if (plain === null) outcomes.push([inFullOutcome, other.set(asked, false, valueSpan, never)]);
        else outcomes.push([inFullOutcome, other.setPlain(plain)]);
      }
      for (const [inFullOutcome, outcome] of outcomes) expect(outcome).toBe(inFullOutcome);
      expect(other.currentIndex).toBe(one.currentIndex);
      expect(treeDigest(other)).toEqual(treeDigest(one));
    }),
    { numRuns: 300 },
  );
});
