/** One event of etcd v2, as its watches tell it: a line of JSON. */
import { keyFromText, type Key } from '@keyferry/core';

export interface V2Node {
  readonly value: string;
  readonly isDirectory: boolean;
  /** Milliseconds since 1970; null: it stays. */
  readonly expiresAtMs: number | null;
}

export interface V2Event {
  /** Of the store: each event has one of its own. */
  readonly index: number;
  readonly key: Key;
  /** Null: it is gone, by a request or by its expiry. A directory goes with all that is in it, in this one event. */
  readonly node: V2Node | null;
  /** As it was before. Null: it was not there, or nobody says. */
  readonly previous: V2Node | null;
}

/** @returns null: the text is no event of etcd v2 */
export function parseEvent(text: string): V2Event | null {
  try {
    return eventOf(JSON.parse(text));
  } catch {
    return null;
  }
}

const removals: ReadonlySet<unknown> = new Set(['delete', 'expire', 'compareAndDelete']);

function eventOf(json: unknown): V2Event | null {
  const { action, node, prevNode } = fieldsOf(json);
  const { key, modifiedIndex } = fieldsOf(node);
  if (typeof action !== 'string' || typeof key !== 'string' || typeof modifiedIndex !== 'number') return null;
  const isGone = removals.has(action);
  const before = prevNode === undefined ? null : nodeOf(prevNode);
  // Of what is gone, only the node before says whether it was a directory, in servers that leave `dir` out of the other.
  const wasDirectory = before?.isDirectory === true || fieldsOf(node)['dir'] === true;
  return {
    index: modifiedIndex,
    key: keyFromText(key),
    node: isGone ? null : nodeOf(node),
    previous: isGone ? { value: '', expiresAtMs: null, ...before, isDirectory: wasDirectory } : before,
  };
}

function nodeOf(json: unknown): V2Node {
  const { value, dir, expiration } = fieldsOf(json);
  return {
    value: typeof value === 'string' ? value : '',
    isDirectory: dir === true,
    expiresAtMs: typeof expiration === 'string' ? Date.parse(expiration) : null,
  };
}

function fieldsOf(json: unknown): Readonly<Record<string, unknown>> {
  return typeof json === 'object' && json !== null ? (json as Readonly<Record<string, unknown>>) : {};
}
