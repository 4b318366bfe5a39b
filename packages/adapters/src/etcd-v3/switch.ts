/**
 * A switch in etcd v3: keys below one of the user's choice, each change one transaction on its `mod_revision`.
 *
 * `<key>/record` is what a target that holds its own switch compares in every application's write: its revision moves with
 * each epoch and with nothing else. `<key>` itself is the plain form.
 */
import type { IKeyValue, IRequestOp } from 'etcd3';
import {
  plainSwitchIsOver,
  plainSwitchText,
  prefixRange,
  type Key,
  type PlainSwitch,
  type PrimarySwitch,
  type Switch,
  type SwitchVersion,
} from '@keyferry/core';
import {
  CellPrimarySwitch,
  CellSwitch,
  instancesFolder,
  type Cell,
  type Cells,
  type CellWrite,
} from '../switch/cells.ts';
import { modifiedAt } from './batch.ts';
import { EtcdClient, type EtcdClientOptions } from './client.ts';
import { keyToBuffer } from './codec.ts';
import { toKeyferryError } from './errors.ts';
import { readPages } from './pages.ts';

export interface EtcdV3SwitchOptions extends Omit<EtcdClientOptions, 'store' | 'requestTimeoutMs'> {
  /** The store's name in the configuration: errors carry it. */
  readonly name: string;
  /** Default `_keyferry/switch`. */
  readonly key?: string | undefined;
  /** For one request to one member. Default 5,000. */
  readonly requestTimeoutMs?: number | undefined;
}

const defaultKey = '_keyferry/switch';

/** Connects with the first call. */
export function openEtcdV3Switch(options: EtcdV3SwitchOptions): Switch {
  return new CellSwitch(new EtcdCells(options));
}

/** For strategy `replicate`. Connects with the first call. */
export function openEtcdV3PrimarySwitch(options: EtcdV3SwitchOptions): PrimarySwitch {
  return new CellPrimarySwitch(new EtcdCells(options));
}

/** @param options `key` is the application's own key, as etcd's guide has it */
export function openEtcdV3PlainSwitch(options: EtcdV3SwitchOptions & { readonly key: string }): PlainSwitch {
  const { client, where, key } = clientOf(options);
  return {
    where,
    isOver: async () => plainSwitchIsOver((await client.range({ key })).kvs[0]?.value.toString('utf8') ?? null),
    write: async (isOver) => {
      const value = Buffer.from(plainSwitchText(isOver));
      await orCoded(options.name, client.writeTxn({ success: [{ request_put: { key, value } }] }));
    },
    close: async () => client.close(),
  };
}

class EtcdCells implements Cells {
  readonly where: string;
  private readonly store: string;
  private readonly client: EtcdClient;
  private readonly base: string;

  constructor(options: EtcdV3SwitchOptions) {
    const { client, where, key } = clientOf(options);
    this.store = options.name;
    this.client = client;
    this.where = where;
    this.base = `${key.toString('latin1')}/`;
  }

  async read(name: string): Promise<Cell | null> {
    return cellOf((await this.client.range({ key: this.keyOf(name) })).kvs[0]);
  }

  write(name: string, text: string, expected: SwitchVersion | 'absent'): Promise<CellWrite> {
    return this.change(name, expected, { request_put: { key: this.keyOf(name), value: Buffer.from(text) } });
  }

  remove(name: string, expected: SwitchVersion): Promise<CellWrite> {
    return this.change(name, expected, { request_delete_range: { key: this.keyOf(name) } });
  }

  async listInstances(): Promise<readonly Cell[]> {
    const range = prefixRange(`${this.base}${instancesFolder}` as Key);
    const options = { pageKeysMax: 1000, revision: null, keysOnly: false };
    const cells: Cell[] = [];
    const pages = readPages(this.client, range, options, ({ kvs }) => {
      for (const kv of kvs) cells.push({ value: kv.value.toString('utf8'), version: kv.mod_revision as SwitchVersion });
    });
    for await (const _ of pages);
    return cells;
  }

  async close(): Promise<void> {
    this.client.close();
  }

  private async change(name: string, expected: SwitchVersion | 'absent', then: IRequestOp): Promise<CellWrite> {
    const key = this.keyOf(name);
    const request = {
      compare: [modifiedAt(key, expected === 'absent' ? null : expected)],
      success: [then],
      failure: [{ request_range: { key } }],
    };
    const { succeeded, header, responses } = await orCoded(this.store, this.client.writeTxn(request));
    if (succeeded) return { kind: 'written', version: header.revision as SwitchVersion };
    return { kind: 'lost', current: cellOf(responses[0]?.response_range.kvs[0]) };
  }

  private keyOf(name: string): Buffer {
    return keyToBuffer(`${this.base}${name}`);
  }
}

function clientOf({ name, key = defaultKey, requestTimeoutMs = 5000, ...rest }: EtcdV3SwitchOptions) {
  const client = new EtcdClient({ store: name, requestTimeoutMs, ...rest });
  return { client, where: `${key} in ${name}`, key: Buffer.from(key, 'utf8') };
}

function cellOf(kv: IKeyValue | undefined): Cell | null {
  return kv === undefined ? null : { value: kv.value.toString('utf8'), version: kv.mod_revision as SwitchVersion };
}

async function orCoded<T>(store: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw toKeyferryError(store, error);
  }
}
