/**
 * The lock of a migration in Consul: a key that a session holds.
 *
 *     session (TTL, no delay) ──PUT ?acquire──► held ──renew──► held ──PUT ?release with a note──► free, note stays
 *                                                 └── the holder died: the session ends within twice its TTL ──► free
 *
 * The session has no health checks: it is this process's and no node's. No lock delay either: what a late holder could do
 * harm with are writes, and those are fenced. The key is ordinary: `consul kv get` shows who holds or held it, and whoever
 * deletes it takes the lock away.
 */
import {
  isKeyferryError,
  targetLockNoteFromText,
  targetLockNoteToText,
  type HeldTargetLock,
  type Key,
  type MigrationId,
  type TargetLock,
  type TargetLockAnswer,
  type TargetLockNote,
} from '@keyferry/core';
import type { ConsulApi } from './api.ts';
import { ControlKeys } from './control-keys.ts';
import { lookUp } from './look-up.ts';
import { unexpected } from './errors.ts';

/** Consul takes no shorter TTL, and may let a session live twice as long. */
const ttlMinMs = 10_000;

export class ConsulLock implements TargetLock {
  private readonly api: ConsulApi;
  private readonly reservedPrefix: Key;

  constructor(api: ConsulApi, reservedPrefix: Key) {
    this.api = api;
    this.reservedPrefix = reservedPrefix;
  }

  async acquire(migration: MigrationId, note: TargetLockNote, leaseMs: number): Promise<TargetLockAnswer> {
    const { api } = this;
    const key = new ControlKeys(this.reservedPrefix, migration).lock;
    const [before = null] = await lookUp(api, [key]);
    const previous = before === null ? null : targetLockNoteFromText(Buffer.from(before.value).toString('utf8'));
    const holding = before?.session;
    // Looked at first, so that waiting makes no sessions.
    if (holding !== undefined) return { kind: 'held', by: previous, end: () => destroySession(api, holding) };
    const session = await createSession(api, migration, leaseMs);
    if (await api.lockKey('acquire', key, session, bytesOf(note))) {
      return { kind: 'acquired', held: new HeldConsulLock(api, key, session), previous };
    }
    await destroySession(api, session);
    return await this.acquire(migration, note, leaseMs); // somebody was quicker: see who
  }
}

class HeldConsulLock implements HeldTargetLock {
  private readonly api: ConsulApi;
  private readonly key: Key;
  private readonly session: string;

  constructor(api: ConsulApi, key: Key, session: string) {
    this.api = api;
    this.key = key;
    this.session = session;
  }

  /** The session may live on while the key is another's: somebody may have deleted it. */
  async renew(): Promise<boolean> {
    const renewed = await this.api.readJson(`/v1/session/renew/${this.session}`, { method: 'PUT' });
    if (renewed === null) return false;
    const [entry = null] = await lookUp(this.api, [this.key]);
    return entry?.session === this.session;
  }

  async release(note: TargetLockNote): Promise<void> {
    await this.api.lockKey('release', this.key, this.session, bytesOf(note));
    await destroySession(this.api, this.session);
  }
}

async function createSession(api: ConsulApi, migration: MigrationId, leaseMs: number): Promise<string> {
  const ttlSeconds = Math.ceil(Math.max(ttlMinMs, leaseMs) / 1000);
  const wanted = {
    Name: `keyferry ${migration}`,
    TTL: `${ttlSeconds}s`,
    LockDelay: '0s',
    Behavior: 'release',
    Checks: [],
  };
  const path = '/v1/session/create';
  const body = Buffer.from(JSON.stringify(wanted), 'utf8');
  const made = (await api.readJson(path, { method: 'PUT', body })) as { readonly ID?: unknown } | null;
  if (typeof made?.ID === 'string' && /^[0-9a-f-]{36}$/.test(made.ID)) return made.ID;
  throw unexpected(api.store, { doing: `PUT ${path}` }, 'it has no id of a session');
}

/** One that is gone already is what was wanted. */
async function destroySession(api: ConsulApi, session: string): Promise<void> {
  try {
    await api.readJson(`/v1/session/destroy/${session}`, { method: 'PUT' });
  } catch (error) {
    // It ends by itself; what it held was given up or is another's to judge.
    if (!isKeyferryError(error, 'store.request-refused')) throw error;
  }
}

function bytesOf(note: TargetLockNote): Uint8Array {
  return Buffer.from(targetLockNoteToText(note), 'utf8');
}
