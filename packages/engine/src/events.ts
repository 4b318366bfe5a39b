/**
 * What happened to a migration beside its runs, kept in the state for whoever asks later: that a lock was broken, by
 * which command and why. Items are only ever added; their ids sort by time.
 */
import { KeyferryError, type EventItem, type MigrationId } from '@keyferry/core';
import type { Environment } from './migration.ts';
import { listItems, writeItemOrFail } from './state-items.ts';

export interface RecordedEvent {
  /** `lock.broken` */
  readonly type: string;
  /** A sentence for people. */
  readonly message: string;
  /** The run that it is about. */
  readonly run: string;
  /** `user@host, pid N`; absent where the message says it, or nobody did it. */
  readonly by?: string;
}

export async function recordEvent(env: Environment, migration: MigrationId, event: RecordedEvent): Promise<void> {
  const { type, message, run, by } = event;
  const atMs = env.clock.nowMs();
  const item: EventItem = { atMs, run, type, message, ...(by === undefined ? {} : { by }) };
  await writeItemOrFail(env, 'event', migration, eventId(atMs, env.random.uint32()), item, 'absent');
}

/**
 * For the history of what a run did, once it is done: that it could not be kept is a warning. The run's own result stands
 * whether or not somebody can read about it later.
 */
export async function recordHistory(env: Environment, migration: MigrationId, event: RecordedEvent): Promise<void> {
  try {
    await recordEvent(env, migration, event);
  } catch (error) {
    if (!(error instanceof KeyferryError)) throw error;
    env.host.emit({ code: 'history.not-kept', data: { type: event.type, code: error.code } });
  }
}

/** The last `max` events, oldest first. */
export async function readEvents(env: Environment, migration: MigrationId, max: number): Promise<readonly EventItem[]> {
  let last: EventItem[] = [];
  for await (const entries of listItems(env, 'event', migration)) {
    last = [...last, ...entries.map(({ item }) => item)].slice(-max);
  }
  return last;
}

/** Time with as many digits as any year needs, then 32 random bits for events of the same millisecond. */
function eventId(atMs: number, random: number): string {
  return `${String(atMs).padStart(15, '0')}-${random.toString(16).padStart(8, '0')}`;
}
