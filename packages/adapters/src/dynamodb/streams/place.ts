/**
 * Where a reader of a table's stream stands, and where it goes on when shards end.
 *
 *     P ──split──► C1, C2          place: { P: 17 } ─► { P: end } ─► { C1: begin, C2: begin } ─► { C1: 21, C2: begin } …
 *
 * A place names the shards that are open or not read to their end, each with the last record that was read of it; what they
 * descend from was read whole. So it is as large as the table has partitions, and not as its history of a day. A shard is
 * begun only once its parent was read to its end, which keeps the order of the changes of each key: a key's changes lie in
 * one line of descent (SPEC R116).
 *
 * A shard that was not read to its end, and that nobody lists any more, is lost with what it held. So is one that was not
 * begun although its parent is gone: its first records are as old as the parent's last ones. Pure.
 */
import { KeyferryError, type Position } from '@keyferry/core';

/** `begin`, `end`, or the sequence number of the last record that was read. */
export type ShardPlace = string;

export interface Place {
  /** Label of the stream: a table that gets a new one has another. */
  readonly stream: string;
  readonly shards: ReadonlyMap<string, ShardPlace>;
}

export interface ListedShard {
  readonly id: string;
  readonly parent: string | null;
  /** It takes no more records. */
  readonly isClosed: boolean;
}

type Met = { readonly kind: 'on'; readonly place: Place } | { readonly kind: 'lost'; readonly why: string };

/** Names and numbers of a place fit into every store that a tail writes to: 100 kB. */
export const shardsMax = 1500;

/** No label and no shard has it. */
const between = ',';

export function positionOf({ stream, shards }: Place): Position {
  const parts = [...shards].map(([id, at]) => `${id}:${at}`).toSorted();
  return [stream, ...parts].join(between) as Position;
}

/** @throws {KeyferryError} `store.answer-unexpected` for text that is no place */
export function placeOf(store: string, position: Position): Place {
  const [stream = '', ...parts] = position.split(between);
  const shards = new Map<string, ShardPlace>();
  for (const part of parts) {
    const match = /^([\w.-]+):(begin|end|\d{1,40})$/.exec(part);
    const [, id = '', at = ''] = match ?? [];
    if (match === null || shards.has(id)) throw notAPlace(store, position);
    shards.set(id, at);
  }
  if (stream === '' || shards.size === 0) throw notAPlace(store, position);
  return { stream, shards };
}

function notAPlace(store: string, position: Position): KeyferryError {
  const detail = `${JSON.stringify(position.slice(0, 200))} is no position of a feed of DynamoDB`;
  return new KeyferryError('store.answer-unexpected', { store, detail });
}

/** A place after a look at the shards that there are. */
export function meetShards(place: Place, listed: readonly ListedShard[]): Met {
  const byId = new Map(listed.map((shard) => [shard.id, shard]));
  const shards = new Map(place.shards);
  for (const [id, at] of shards) {
    if (at !== 'end' && !byId.has(id)) return lost(`shard ${id} is gone, with records that were not read`);
    if (at === 'begin' && !byId.has(byId.get(id)?.parent ?? ''))
      return lost(`shard ${id} was not begun in time, and its first records may be gone`);
  }
  const parents = new Map(listed.map(({ id, parent }) => [id, parent]));
  // Several generations may have come and gone since the last look: parents first.
  for (const { id, parent } of byDescent(listed)) {
    if (shards.has(id) || isPassed(id, shards, parents)) continue;
    if (parent === null || !byId.has(parent)) return lost(`shard ${id} came from one that is gone, and was not read`);
    const isDone = shards.get(parent) === 'end' || (!shards.has(parent) && isPassed(parent, shards, parents));
    if (isDone) shards.set(id, 'begin');
  }
  for (const [id, at] of shards) {
    if (at === 'end' && (!byId.has(id) || isPassed(id, shards, parents))) shards.delete(id);
  }
  return { kind: 'on', place: { stream: place.stream, shards } };
}

/** Whether a reader at `place` was given all that lies up to `mark`. @param parents of every shard that was ever listed */
export function reaches(place: Place, mark: Place, parents: ReadonlyMap<string, string | null>): boolean {
  if (place.stream !== mark.stream) return false;
  return [...mark.shards].every(([id, wanted]) => {
    if (wanted === 'begin' || wanted === 'end') return true; // nothing of it, or older than what the others say
    const at = place.shards.get(id);
    if (at === undefined) return isPassed(id, place.shards, parents);
    return at === 'end' || (at !== 'begin' && BigInt(at) >= BigInt(wanted));
  });
}

/**
 * Whether a reader at `place` was given a record of which nobody names the shard: in each one that it may lie in, one of its
 * number or a higher one was read, or all. Numbers of several shards have no common order, so this may be false of one that
 * was; it is never true of one that was not, as numbers grow along a line of descent.
 */
export function hasRead(
  place: Place,
  { stream, number }: { readonly stream: string; readonly number: string },
  listed: readonly ListedShard[],
  parents: ReadonlyMap<string, string | null>,
): boolean {
  // What comes after a shard that ended is not listed yet.
  if (listed.length === 0 || [...place.shards.values()].includes('end')) return false;
  return reaches(place, { stream, shards: new Map(listed.map(({ id }) => [id, number])) }, parents);
}

/** Those without a child among them: together they are where the line of every key ends. */
export function leavesOf(listed: readonly ListedShard[]): readonly ListedShard[] {
  const parents = new Set(listed.map(({ parent }) => parent));
  return listed.filter(({ id }) => !parents.has(id));
}

/** One of the shards descends from it. */
function isPassed(
  id: string,
  shards: ReadonlyMap<string, ShardPlace>,
  parents: ReadonlyMap<string, string | null>,
): boolean {
  for (const each of shards.keys()) {
    for (let at = parents.get(each) ?? null; at !== null; at = parents.get(at) ?? null) if (at === id) return true;
  }
  return false;
}

function byDescent(listed: readonly ListedShard[]): readonly ListedShard[] {
  const byId = new Map(listed.map((shard) => [shard.id, shard]));
  const sorted = new Set<ListedShard>();
  const visit = (shard: ListedShard | undefined): void => {
    if (shard === undefined || sorted.has(shard)) return;
    if (shard.parent !== null) visit(byId.get(shard.parent));
    sorted.add(shard);
  };
  for (const shard of listed) visit(shard);
  return [...sorted];
}

const lost = (why: string): Met => ({ kind: 'lost', why });
