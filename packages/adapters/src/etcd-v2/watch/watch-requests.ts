/**
 * The two requests behind a watch of etcd v2, both to one member.
 *
 *     follow   a stream from now on: every event after `from`, as it happens
 *     recall   the first event at or after an index, from the store's last 1,000, if there is one
 *
 * A stream that begins in the past tells one event and is silent for ever [measured, 3.3 to 3.5], so history is read event by
 * event. A member answers `recall` with the head of an answer at once, and with the event right behind it, or with nothing
 * until one happens. That nothing is coming shows only by waiting: `quietMs`.
 */
import { invariant, type Key } from '@keyferry/core';
import type { HttpAnswer } from '../../http/answer.ts';
import type { HttpClient } from '../../http/client.ts';
import { encodePath } from '../../http/key-path.ts';
import { errorCodes, readErrorAnswer, unexpected } from '../errors.ts';
import { parseEvent, type V2Event } from './event.ts';

export interface WatchTarget {
  /** The store's name, for errors. */
  readonly store: string;
  readonly client: HttpClient;
  readonly endpoint: string;
  /** Watched with all below it; empty: the root. */
  readonly directory: Key;
}

export interface Following {
  /** Of the member's store when the stream began: it tells everything after it. */
  readonly from: number;
  /** In order. Ends when the member ends it, which it does to a reader that is slow. */
  readonly events: AsyncIterable<readonly V2Event[]>;
  close(): void;
}

export type Recalled =
  | { readonly kind: 'event'; readonly event: V2Event }
  /** Nothing from the index asked for up to this one. */
  | { readonly kind: 'nothing'; readonly upTo: number }
  /** History no longer reaches back to the index asked for. */
  | { readonly kind: 'cleared'; readonly why: string };

/** From the head of an answer to its event; the member writes one behind the other. */
const quietMs = 1000;
const forever = 2 ** 31 - 1;

export async function follow(target: WatchTarget): Promise<Following> {
  const asked = await ask(target, '&stream=true');
  invariant(!('cleared' in asked), 'a watch from now on was refused as one of the past');
  const { answer, index } = asked;
  return { from: index, events: eventsOf(target, answer), close: () => answer.discard() };
}

export async function recall(target: WatchTarget, waitIndex: number): Promise<Recalled> {
  const asked = await ask(target, `&waitIndex=${waitIndex}`);
  if ('cleared' in asked) return { kind: 'cleared', why: asked.cleared };
  const { answer, index } = asked;
  let found: V2Event | null = null;
  let isQuiet = false;
  const giveUp = (): void => {
    isQuiet = true;
    answer.discard();
  };
  let timer = setTimeout(giveUp, quietMs);
  try {
    // To its end, which follows the event, so that the connection serves the next request.
    for await (const [event] of eventsOf(target, answer)) {
      found ??= event ?? null;
      clearTimeout(timer);
      timer = setTimeout(giveUp, quietMs);
    }
  } catch (error) {
    if (!isQuiet) throw error;
  } finally {
    clearTimeout(timer);
  }
  if (found !== null) return { kind: 'event', event: found };
  if (isQuiet) return { kind: 'nothing', upTo: index };
  throw unexpected(target.store, answer, 'a watch that ended without an event');
}

async function ask(
  { store, client, endpoint, directory }: WatchTarget,
  query: '&stream=true' | `&waitIndex=${number}`,
): Promise<{ readonly answer: HttpAnswer; readonly index: number } | { readonly cleared: string }> {
  const path = `/v2/keys${encodePath(directory)}/?wait=true&recursive=true${query}`;
  // Silence is no fault here. A connection that died is found by TCP itself, and by whoever compares with the head.
  const answer = await client.send(endpoint, { path, timeouts: { idleMs: forever } });
  if (answer.status !== 200) {
    const { errorCode, error } = await readErrorAnswer(store, answer);
    if (errorCode === errorCodes.eventIndexCleared) return { cleared: error.message };
    throw error;
  }
  const index = answer.header('x-etcd-index') ?? '';
  if (/^\d{1,15}$/.test(index)) return { answer, index: Number(index) };
  answer.discard();
  throw unexpected(store, answer, 'a watch without x-etcd-index');
}

/** As many as come at once. */
async function* eventsOf({ store }: WatchTarget, answer: HttpAnswer): AsyncGenerator<readonly V2Event[]> {
  let rest: Uint8Array[] = [];
  for await (const piece of answer.pieces()) {
    const end = piece.lastIndexOf(0x0a);
    if (end < 0) {
      rest.push(piece);
      continue;
    }
    const text = Buffer.concat([...rest, piece.subarray(0, end)]).toString('utf8');
    rest = [piece.subarray(end + 1)];
    yield text.split('\n').map((line) => {
      const event = parseEvent(line);
      if (event === null) throw unexpected(store, answer, 'a line of a watch is no event');
      return event;
    });
  }
}
