/**
 * Goal: each event of etcd v2 becomes the change that it is for a range, and no other. Method: lines as servers 3.3 to 3.5
 *   wrote them, and what is to come of them.
 */
import { keyFromText, prefixRange } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import type { Directory } from './directory.ts';
import { changeOf } from './feed.ts';
import { parseEvent } from './watch/event.ts';

const app = prefixRange(keyFromText('/app/'));
const changeIn = (line: object, range = app, within = '/app') => {
  const event = parseEvent(JSON.stringify(line));
  if (event === null) throw new Error('no event');
  return changeOf(event, range, within as Directory);
};
const at = (key: string, more: object = {}) => ({ key, modifiedIndex: 9, createdIndex: 9, ...more });
const dir = (key: string) => at(key, { dir: true });

describe('an event of etcd v2', () => {
  it.each([
    [
      'a put',
      { action: 'set', node: at('/app/a', { value: 'é' }) },
      { kind: 'put', key: '/app/a', version: '9', expiresAtMs: null },
    ],
    [
      'a put with a TTL',
      { action: 'update', node: at('/app/a', { value: '', ttl: 1, expiration: '2026-11-28T01:30:14.776749519Z' }) },
      { kind: 'put', expiresAtMs: Date.parse('2026-11-28T01:30:14.776Z') },
    ],
    [
      'a delete',
      { action: 'compareAndDelete', node: at('/app/a'), prevNode: at('/app/a', { value: 'x' }) },
      { kind: 'delete', key: '/app/a' },
    ],
    ['an expiry', { action: 'expire', node: at('/app/a'), prevNode: at('/app/a', { value: 'x' }) }, { kind: 'delete' }],
    [
      'the delete of a directory',
      { action: 'delete', node: dir('/app/d'), prevNode: dir('/app/d') },
      { kind: 'delete-range', range: prefixRange(keyFromText('/app/d/')) },
    ],
    [
      'the expiry of a directory above',
      { action: 'expire', node: at('/app'), prevNode: dir('/app') },
      { kind: 'delete-range', range: app },
    ],
    [
      'a directory in the place of a record',
      { action: 'set', node: dir('/app/a'), prevNode: at('/app/a', { value: 'x' }) },
      { kind: 'delete', key: '/app/a' },
    ],
  ])('that is %s is told', (_, line, change) => expect(changeIn(line)).toMatchObject(change));

  it.each([
    ['a new directory', { action: 'create', node: dir('/app/d') }],
    ['the new TTL of a directory', { action: 'update', node: dir('/app/d'), prevNode: dir('/app/d') }],
    ['a put elsewhere', { action: 'set', node: at('/other', { value: 'x' }) }],
    ['the delete of a directory elsewhere', { action: 'delete', node: dir('/ap'), prevNode: dir('/ap') }],
    ['a hidden put', { action: 'set', node: at('/app/_h', { value: 'x' }) }],
    ['a put in a hidden directory', { action: 'set', node: at('/app/_d/a', { value: 'x' }) }],
    ['the delete of a hidden directory', { action: 'delete', node: dir('/app/_d'), prevNode: dir('/app/_d') }],
  ])('that is %s is none of a range', (_, line) => expect(changeIn(line)).toBeNull());

  it('in a hidden directory is told where that is named', () => {
    const hidden = prefixRange(keyFromText('/app/_h/'));
    const put = { action: 'set', node: at('/app/_h/a', { value: 'x' }) };
    expect(changeIn(put, hidden, '/app/_h')).toMatchObject({ kind: 'put', key: '/app/_h/a' });
  });

  it.each(['', '[]', '{"action":"set"}', '{"action":"set","node":{"key":"/a"}}', '{"errorCode":401}'])(
    'is not %j',
    (text) => expect(parseEvent(text)).toBeNull(),
  );
});
