/**
 * Consul as the target of an online migration: what an application's instance asks of it.
 *
 *     read    one transaction: key, tombstone, origin
 *     write   read key, tombstone, origin, switch ─► is it as expected? ─no─► unmet, or the epoch moved
 *                 ▲                                       │ yes
 *                 └─refused: one has moved─ one transaction: all four are as they were read; put or delete the key, put or
 *                                           delete its tombstone, delete its origin
 *
 * A transaction of Consul either checks or tells what is there, so each write is a read and a write that rests on it, and what
 * was there before is what the write has checked. Whoever loses looks again, for as long as one request may take.
 *
 * An origin counts while it has the index of its record. A put of the value that is there already leaves the index as it is
 * [measured, 1.8.7], so applications' writes delete it too. Nothing in Consul ends by itself but by sessions, which end up to
 * twice as late and take locks with them: a put with a TTL is refused. For watchers, see online-moves.ts.
 */
import {
  isExpected,
  keyForDisplay,
  keyFromText,
  KeyferryError,
  originFromText,
  recordBytes,
  tombstoneText,
  type Key,
  type KeyRange,
  type MigrationId,
  type OnlineTarget,
  type OnlineTargetAnswer,
  type OnlineTargetRecord,
  type OnlineTargetRequest,
  type Pair,
  type SeenSwitch,
  type TargetEntry,
  type TargetMoves,
  type TargetRecord,
  type Version,
} from '@keyferry/core';
import { systemClock } from '../environment/system-clock.ts';
import type { Transaction } from './api.ts';
import { defaultReservedPrefix, defaultTransactionBytes, recordBytesMaxOf } from './capabilities.ts';
import { connectionTo, type ConsulConnection, type ConsulConnectionOptions } from './connection.ts';
import { ControlKeys } from './control-keys.ts';
import { indexOf, noBytes, versionOf, type ConsulEntry } from './entry.ts';
import { unfitKey } from './key-form.ts';
import { lookUp } from './look-up.ts';
import { listEntries } from './online-list.ts';
import { ConsulMoves } from './online-moves.ts';
import { plain, type Operation } from './operations.ts';
import { ValueForm } from './value-form.ts';

export interface ConsulOnlineTargetOptions extends ConsulConnectionOptions {
  readonly migration: string;
  /** As in the store's configuration. */
  readonly flagsFrom?: string | undefined;
  /** Where keyferry keeps its own keys, as in the store's configuration. Default `_keyferry/`. */
  readonly reservedPrefix?: string | undefined;
  /** What the servers' `limits.txn_max_req_len` is set to, in bytes. Default 524,288. */
  readonly transactionBytes?: number | undefined;
  /** The key of the switch, if it is in this very cluster: writes then compare it. Default: it is elsewhere. */
  readonly switchKey?: string | undefined;
  /**
   * For one request to one agent, and for how long a write that lost looks again. Default 5,000: keep it below a third of
   * the client's `requestLifeMs`.
   */
  readonly requestTimeoutMs?: number | undefined;
}

/** Connects with the first call. */
export function openConsulOnlineTarget(options: ConsulOnlineTargetOptions): OnlineTarget {
  return new ConsulOnlineTarget(options);
}

type TargetWrite = Extract<OnlineTargetRequest, { kind: 'write' }>;
type Found = TargetRecord<Uint8Array>;

/** What lies at a key, all of one state of the store. */
interface State {
  readonly record: ConsulEntry | null;
  readonly tombstone: ConsulEntry | null;
  readonly origin: ConsulEntry | null;
  readonly held: ConsulEntry | null;
}

const defaultOnlineTimeoutMs = 5000;

class ConsulOnlineTarget implements OnlineTarget {
  readonly role = 'target';
  readonly comparesSwitch: boolean;
  readonly moves: TargetMoves;
  private readonly store: string;
  private readonly connection: ConsulConnection;
  private readonly keys: ControlKeys;
  private readonly form: ValueForm;
  private readonly recordBytesMax: number;
  private readonly switchRecord: Key | null;
  private readonly looksMaxMs: number;
  /** Whether the last key that was read had an origin: most others are then like it. */
  private originsExpected = true;

  constructor(options: ConsulOnlineTargetOptions) {
    const { name, migration, switchKey, reservedPrefix = defaultReservedPrefix } = options;
    this.store = name;
    this.connection = connectionTo(options, defaultOnlineTimeoutMs);
    this.keys = new ControlKeys(keyFromText(reservedPrefix), migration as MigrationId);
    this.form = new ValueForm(options.flagsFrom ?? null);
    this.recordBytesMax = recordBytesMaxOf(options.transactionBytes ?? defaultTransactionBytes);
    this.switchRecord = switchKey === undefined ? null : keyFromText(`${switchKey}/record`);
    this.comparesSwitch = switchKey !== undefined;
    this.moves = new ConsulMoves(() => connectionTo(options, defaultOnlineTimeoutMs), {
      keys: this.keys,
      form: this.form,
    });
    this.looksMaxMs = options.requestTimeoutMs ?? defaultOnlineTimeoutMs;
  }

  async ask(key: Key, request: OnlineTargetRequest, seen: SeenSwitch): Promise<OnlineTargetAnswer> {
    if (request.kind === 'write') return await this.write(key, request, seen);
    return { kind: 'read', pair: this.pairOf(await this.read(key, null)) };
  }

  async *list(range: KeyRange): AsyncIterable<readonly TargetEntry<OnlineTargetRecord>[]> {
    const { connection, keys, form } = this;
    yield* listEntries({ api: connection.api, keys, form }, range);
  }

  async close(): Promise<void> {
    this.connection.client.close();
  }

  private async write(key: Key, request: TargetWrite, seen: SeenSwitch): Promise<OnlineTargetAnswer> {
    this.assertFits(key, request);
    const { api } = this.connection;
    const giveUpAtMs = systemClock.monotonicMs() + this.looksMaxMs;
    for (;;) {
      const state = await this.read(key, this.switchRecord);
      if (this.switchRecord !== null && switchVersionOf(state) !== seen.version) return { kind: 'epoch-moved' };
      const pair = this.pairOf(state);
      if (!isExpected(pair, request.expect, hasSameIndex)) return { kind: 'unmet', pair };
      if (systemClock.monotonicMs() >= giveUpAtMs) {
        const detail = `${keyForDisplay(key)} was changed by others each time that it was to be written; it was not`;
        throw new KeyferryError('store.timeout', { store: this.store, detail });
      }
      const answer = await api.writeTransaction(this.operationsOf(key, request, state, seen));
      if (answer.kind === 'refused') continue;
      return {
        kind: 'written',
        version: request.write.kind === 'put' ? writtenVersion(answer, key) : null,
        previous: pair,
      };
    }
  }

  /** @param switchRecord null: it is not asked for */
  private async read(key: Key, switchRecord: Key | null): Promise<State> {
    const { keys } = this;
    const [tomb, from] = [keys.tomb(key), keys.origin(key)];
    const asked = [key, tomb, from, ...(switchRecord === null ? [] : [switchRecord])];
    const expectedAbsent = new Set(this.originsExpected ? [tomb] : [tomb, from]);
    const [record = null, tombstone = null, origin = null, held = null] = await lookUp(
      this.connection.api,
      asked,
      expectedAbsent,
    );
    if (record !== null) this.originsExpected = origin !== null;
    return { record, tombstone, origin, held };
  }

  private operationsOf(key: Key, { write, tombstone: change }: TargetWrite, state: State, { epoch }: SeenSwitch) {
    const { keys, form, switchRecord } = this;
    const { operations } = this.connection.api;
    const as = (at: Key, entry: ConsulEntry | null): Operation =>
      entry === null ? operations.checkAbsent(at) : operations.checkIndex(at, entry.modifyIndex);
    const [tomb, from] = [keys.tomb(key), keys.origin(key)];
    return [
      as(key, state.record),
      as(tomb, state.tombstone),
      ...(switchRecord === null ? [] : [as(switchRecord, state.held)]),
      write.kind === 'put' ? operations.set(key, form.toStored(write.value)) : operations.delete(key),
      ...(state.origin === null ? [] : [operations.delete(from)]),
      ...(change === 'write'
        ? [
            operations.set(tomb, plain(Buffer.from(tombstoneText(epoch), 'latin1'))),
            operations.set(keys.entombed, plain(noBytes)),
          ]
        : []),
      ...(change === 'clear' && state.tombstone !== null ? [operations.delete(tomb)] : []),
    ];
  }

  private pairOf({ record, tombstone, origin }: State): Pair<Uint8Array> {
    return { record: record === null ? null : this.foundIn(record, origin), tombstone: tombstone !== null };
  }

  private foundIn(record: ConsulEntry, origin: ConsulEntry | null): Found {
    return { value: this.form.toValue(record), version: versionOf(record), copiedFrom: copiedFrom(record, origin) };
  }

  /** Refused before anything is sent. @throws {KeyferryError} `store.unsupported`, `store.request-refused` */
  private assertFits(key: Key, { write }: TargetWrite): void {
    const { store, keys, form, recordBytesMax } = this;
    const refused = (why: string) =>
      new KeyferryError('store.request-refused', { store, detail: `${keyForDisplay(key)} cannot be written: ${why}` });
    const unfit = unfitKey(key);
    if (unfit !== null) throw refused(unfit);
    if (key.startsWith(keys.reservedPrefix)) throw refused('keyferry keeps its own keys there');
    if (write.kind === 'delete') return;
    if (write.ttlMs !== null) {
      const detail = `${keyForDisplay(key)} was to end by itself (ttlMs), and no record of Consul does`;
      throw new KeyferryError('store.unsupported', { store, detail });
    }
    const bytes = recordBytes({ key, value: write.value });
    if (bytes > recordBytesMax) throw refused(`${bytes} bytes, at most ${recordBytesMax}`);
    const unfitValue = form.unfit(write.value);
    if (unfitValue !== null) throw refused(unfitValue);
  }
}

/** The version that a record has in the source, by the origin beside it, if it is as backfill put it. */
function copiedFrom(record: ConsulEntry, origin: ConsulEntry | null): Version | null {
  if (origin === null || origin.modifyIndex !== record.modifyIndex) return null;
  return originFromText(Buffer.from(origin.value).toString('latin1'));
}

const switchVersionOf = ({ held }: State): string | null => (held === null ? null : String(held.modifyIndex));

/** A version also says whether the key is held as a lock, which is no other record. */
const hasSameIndex = (held: Version, wanted: Version): boolean => indexOf(held) === indexOf(wanted);

function writtenVersion(answer: Extract<Transaction, { kind: 'done' }>, key: Key): Version {
  const entry = answer.entries.findLast((each) => each.key === key);
  return (entry === undefined ? '' : versionOf(entry)) as Version;
}
