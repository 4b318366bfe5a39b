/**
 * A DynamoDB table as a source and as a target. README.md has the mapping of items, what each write costs, and who needs
 * which permission.
 *
 *     view    parallel scan ──► spool on disk, sorted ──► any number of scans          position: a digest of what was read
 *     write   conditional writes in fenced transactions, or single ones (guarded-writes.ts)
 *     feed    the table's stream, shard by shard (streams/)
 */
import { DescribeTableCommand, DescribeTimeToLiveCommand } from '@aws-sdk/client-dynamodb';
import {
  invariant,
  KeyferryError,
  keyFromText,
  prefixRange,
  rangeHolds,
  type ChangeFeed,
  type Key,
  type KeyRange,
  type MemberPosition,
  type MigrationId,
  type Position,
  type SourceStore,
  type StoreDescription,
  type StoredRecord,
  type StoreView,
  type TailControl,
  type TargetCapabilities,
  type TargetControl,
  type TargetStore,
} from '@keyferry/core';
import { Lanes } from '../lanes.ts';
import type { RecordSpool } from '../spool/record-spool.ts';
import { openSpooledView } from '../spool/spooled-view.ts';
import { dynamoDbTargetCapabilities } from './capabilities.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import { ControlItems } from './control-items.ts';
import { DynamoDbControl } from './control.ts';
import { GuardedWrites } from './guarded-writes.ts';
import { Items, type Found } from './items.ts';
import type { WriteMode } from './limits.ts';
import { defaultReservedPrefix, type Mapping } from './mapping.ts';
import { PositionDigest, scanTable } from './table-scan.ts';
import { DynamoDbTailControl } from './tail.ts';
import { DynamoDbFeed } from './streams/feed.ts';
import { StreamApi } from './streams/stream-api.ts';
import { readItems } from './target-context.ts';

export type { Mapping } from './mapping.ts';

/** Tails can write to it, and it can be followed where the table has a stream. */
export interface DynamoDb extends SourceStore, TargetStore {
  readonly capabilities: TargetCapabilities;
  readonly feed: ChangeFeed;
  tail(migration: MigrationId): TailControl;
}

export interface DynamoDbOptions extends ConnectionOptions {
  readonly mapping: Mapping;
  /** Milliseconds since 1970, by which records expire. */
  readonly nowMs: () => number;
  /** transactions, by default: fenced, at twice the price. single: not fenced. */
  readonly writes?: WriteMode | undefined;
  /** Segments of the table that are read at the same time; 4 by default. */
  readonly segments?: number | undefined;
  /** Where keyferry keeps its own items; `_keyferry/` by default. */
  readonly reservedPrefix?: string | undefined;
  /** Of which records `head()` tells the position: the migration's prefix. By default of all. */
  readonly prefix?: string | undefined;
}

/** Single writes under way at once. */
const requestsAtOnce = 32;
const everything: KeyRange = { start: '' as Key, end: null };
/** The version of the service's interface, which it never changed. */
const apiVersion = '2012-08-10';

/**
 * Credentials are found as the AWS SDK finds them: environment, profile, web identity, container, instance. Connects with
 * the first call.
 *
 * @example
 * const store = openDynamoDbStore({
 *   name: 'flags', table: 'flags', region: 'eu-west-1', nowMs: () => Date.now(),
 *   mapping: {
 *     hash: { name: 'pk', type: 'string' }, sort: null, separator: '/',
 *     value: { from: 'attribute', name: 'value', type: 'binary' }, ttl: null, leaveOut: new Set(),
 *   },
 * });
 */
export function openDynamoDbStore(options: DynamoDbOptions): DynamoDb {
  return new DynamoDbStore(options);
}

class DynamoDbStore implements DynamoDb {
  readonly capabilities: TargetCapabilities;
  readonly publication = null;
  readonly feed: ChangeFeed;
  private readonly options: DynamoDbOptions;
  private readonly connection: Connection;
  private readonly items: Items;
  private readonly segments: number;
  private readonly writes: WriteMode;
  private readonly lanes = new Lanes(requestsAtOnce);
  private readonly streams: StreamApi;
  /** One a migration: it remembers marks. */
  private readonly controls = new Map<MigrationId, DynamoDbControl>();
  private shapeChecked: Promise<StoreDescription> | null = null;
  private closed = false;

  constructor(options: DynamoDbOptions) {
    const { mapping, writes = 'transactions', segments = 4, reservedPrefix = defaultReservedPrefix } = options;
    this.options = options;
    this.connection = new Connection(options);
    this.items = new Items(mapping, keyFromText(reservedPrefix));
    this.segments = segments;
    this.writes = writes;
    this.capabilities = dynamoDbTargetCapabilities(mapping, this.items.reservedPrefix, writes);
    this.streams = new StreamApi(this.connection, options);
    const { connection, items, lanes, streams: api } = this;
    this.feed = new DynamoDbFeed({ connection, items, lanes, api });
  }

  /** @throws {KeyferryError} `store.unsupported` when the table's keys or its TTL are not those of the configuration */
  async describe(): Promise<StoreDescription> {
    invariant(!this.closed, `store ${this.options.name} was used after it was closed`);
    const { table, region, endpoint } = this.options;
    const { Table } = await this.connection.send((client) =>
      client.send(new DescribeTableCommand({ TableName: table })),
    );
    const typeOf = (name: string | undefined) =>
      Table?.AttributeDefinitions?.find(({ AttributeName }) => AttributeName === name)?.AttributeType;
    const held = (Table?.KeySchema ?? []).map(({ AttributeName }) => `${AttributeName} ${typeOf(AttributeName)}`);
    const { hash, sort } = this.options.mapping;
    const wanted = [hash, ...(sort === null ? [] : [sort])].map(
      ({ name, type }) => `${name} ${type === 'string' ? 'S' : 'B'}`,
    );
    if (held.join() !== wanted.join()) {
      throw this.unsupported(`the keys of table ${table} are ${held.join(' and ')}, not ${wanted.join(' and ')}`);
    }
    await this.assertTtl();
    return {
      kind: 'dynamodb',
      version: apiVersion,
      endpoints: [`${endpoint ?? `https://dynamodb.${region}.amazonaws.com`}/${table}`],
      members: null,
      identity: Table?.TableId ?? Table?.TableArn ?? null,
      viewLocks: null,
    };
  }

  async head(): Promise<Position> {
    await this.ensureShape();
    const { prefix } = this.options;
    const range = prefix === undefined ? everything : prefixRange(keyFromText(prefix));
    const nowMs = this.options.nowMs();
    const digest = new PositionDigest();
    await scanTable(this.connection, this.segments, (item) => addTo(digest, this.items.find(item, nowMs), range));
    return digest.value();
  }

  async openView(range: KeyRange): Promise<StoreView> {
    await this.ensureShape();
    const nowMs = this.options.nowMs();
    const fill = async (spool: RecordSpool): Promise<Position> => {
      const digest = new PositionDigest();
      await scanTable(this.connection, this.segments, (item) => {
        const found = this.items.find(item, nowMs);
        addTo(digest, found, range);
        spoolFound(spool, found, range);
      });
      return digest.value();
    };
    return await openSpooledView(fill, () => {
      const detail = 'a scan returned one key twice';
      return new KeyferryError('store.answer-unexpected', { store: this.options.name, detail });
    });
  }

  readMembers(): Promise<readonly MemberPosition[] | null> {
    return Promise.resolve(null);
  }

  async countRecords(range: KeyRange | null, max: number): Promise<number> {
    await this.ensureShape();
    const nowMs = this.options.nowMs();
    let count = 0;
    await scanTable(this.connection, 1, (item) => {
      const found = this.items.find(item, nowMs);
      if (found.kind === 'record' && rangeHolds(range ?? everything, found.record.key)) count += 1;
      return count < max;
    });
    return count;
  }

  async lookUp(keys: readonly Key[]): Promise<readonly (StoredRecord | null)[]> {
    const found = await readItems({ connection: this.connection, items: this.items }, keys);
    const nowMs = this.options.nowMs();
    return keys.map((key) => {
      const item = found.get(key) ?? null;
      const is = item === null ? null : this.items.find(item, nowMs);
      return is?.kind === 'record' ? is.record : null;
    });
  }

  control(migration: MigrationId): TargetControl {
    const known = this.controls.get(migration);
    if (known !== undefined) return known;
    const { connection, items, lanes, segments, writes: writeMode } = this;
    const { nowMs } = this.options;
    const control = this.controlItems(migration);
    const writes = new GuardedWrites(connection, writeMode, lanes);
    const made = new DynamoDbControl({ connection, items, control, writes, nowMs }, { writeMode, segments });
    this.controls.set(migration, made);
    return made;
  }

  tail(migration: MigrationId): TailControl {
    const { connection, items, lanes, writes: writeMode } = this;
    return new DynamoDbTailControl({ connection, items, lanes, writeMode, control: this.controlItems(migration) });
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const control of this.controls.values()) await control.close();
    this.connection.close();
    this.streams.close();
  }

  private controlItems(migration: MigrationId): ControlItems {
    const { name, table, mapping } = this.options;
    return new ControlItems(name, table, mapping, this.items.reservedPrefix, migration);
  }

  /** Asked once: an item of other keys would be misread. */
  private async ensureShape(): Promise<void> {
    this.shapeChecked ??= this.describe();
    try {
      await this.shapeChecked;
    } catch (error) {
      this.shapeChecked = null;
      throw error;
    }
  }

  private async assertTtl(): Promise<void> {
    const { ttl } = this.options.mapping;
    if (ttl === null) return;
    const { table } = this.options;
    const { TimeToLiveDescription } = await this.connection.send((client) =>
      client.send(new DescribeTimeToLiveCommand({ TableName: table })),
    );
    const { AttributeName, TimeToLiveStatus } = TimeToLiveDescription ?? {};
    if (AttributeName === ttl && TimeToLiveStatus?.startsWith('ENABL') === true) return;
    const held = AttributeName === undefined ? 'has none' : `is on ${AttributeName}, ${TimeToLiveStatus ?? ''}`;
    throw this.unsupported(`TTL of table ${table} ${held}: items would not end by ${ttl}`);
  }

  private unsupported(detail: string): KeyferryError {
    return new KeyferryError('store.unsupported', { store: this.options.name, detail });
  }
}

/** Items that are no records count too: what becomes one, or ceases to be one, moves the position. */
function addTo(digest: PositionDigest, found: Found, range: KeyRange): void {
  if (found.kind === 'record') {
    const { key, version } = found.record;
    if (rangeHolds(range, key)) digest.add(key, version);
  } else if (found.kind === 'unmapped' && rangeHolds(range, found.key)) digest.add(found.key, found.version);
}

function spoolFound(spool: RecordSpool, found: Found, range: KeyRange): void {
  if (found.kind === 'own' || found.kind === 'tombstone') return;
  const key = found.kind === 'record' ? found.record.key : found.key;
  if (!rangeHolds(range, key)) return;
  if (found.kind === 'record') spool.add(found.record);
  else if (found.kind === 'expired') spool.addNotCarried({ key, reason: 'ttl.expired' });
  else {
    const entry = { key, reason: 'item.unmapped', detail: found.why } as const;
    // Those that cannot be told apart by their keys are counted all the same.
    if (found.mayBeAnothers) spool.addBeside(entry);
    else spool.addNotCarried(entry);
  }
}
