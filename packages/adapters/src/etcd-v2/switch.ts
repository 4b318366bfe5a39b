/**
 * A switch in etcd v2: keys below a directory of the user's choice, each change conditional on `modifiedIndex`.
 *
 * For applications that reach nothing but the old store, and for barriers before the target is ready. A condition that
 * did not hold is answered without what is there, so that is read once more; by then it may have changed again, and
 * whoever lost a race reads and decides anew in any case. `<key>` itself is the plain form, and then no directory.
 */
import {
  KeyferryError,
  keyFromText,
  type Key,
  type PlainSwitch,
  type PrimarySwitch,
  type Switch,
  type SwitchVersion,
} from '@keyferry/core';
import { HttpClient } from '../http/client.ts';
import type { HttpClientOptions } from '../http/options.ts';
import {
  CellPrimarySwitch,
  CellSwitch,
  instancesFolder,
  plainSwitchOf,
  type Cell,
  type Cells,
  type CellWrite,
  type PlainCells,
} from '../switch/cells.ts';
import { EtcdV2WriteApi, type FoundNode, type WriteAnswer } from './write-api.ts';

export interface EtcdV2SwitchOptions extends Omit<HttpClientOptions, 'store' | 'timeouts'> {
  /** The store's name in the configuration: errors carry it. */
  readonly name: string;
  /** Default `/_keyferry/switch`, which no listing shows. */
  readonly key?: string | undefined;
  /** For one request. Default 5,000. */
  readonly requestTimeoutMs?: number | undefined;
}

const defaultKey = '/_keyferry/switch';

/** Connects with the first call. */
export function openEtcdV2Switch(options: EtcdV2SwitchOptions): Switch {
  return new CellSwitch(new EtcdV2Cells(options));
}

/** For strategy `replicate`. Connects with the first call. */
export function openEtcdV2PrimarySwitch(options: EtcdV2SwitchOptions): PrimarySwitch {
  return new CellPrimarySwitch(new EtcdV2Cells(options));
}

/** @param options `key` is the application's own key, as etcd's guide has it */
export function openEtcdV2PlainSwitch(options: EtcdV2SwitchOptions & { readonly key: string }): PlainSwitch {
  return plainSwitchOf(new EtcdV2Cells(options), '');
}

class EtcdV2Cells implements Cells, PlainCells {
  readonly where: string;
  private readonly api: EtcdV2WriteApi;
  private readonly store: string;
  private readonly key: string;

  constructor({ name, key = defaultKey, requestTimeoutMs = 5000, ...connecting }: EtcdV2SwitchOptions) {
    const timeouts = { headersMs: requestTimeoutMs };
    const client = new HttpClient({ ...connecting, store: name, timeouts });
    this.api = new EtcdV2WriteApi(name, client, connecting.auth?.user ?? null);
    this.store = name;
    this.key = key;
    this.where = `${key} in ${name}`;
    this.close = async () => client.close();
  }

  readonly close: () => Promise<void>;

  async read(name: string): Promise<Cell | null> {
    return cellOf(await this.api.read(this.keyOf(name)));
  }

  async write(name: string, text: string, expected: SwitchVersion | 'absent'): Promise<CellWrite> {
    const value = { value: Buffer.from(text), ttlSeconds: null };
    const key = this.keyOf(name);
    const answer =
      expected === 'absent'
        ? await this.api.create(key, value)
        : await this.api.compareAndSwap(key, Number(expected), value);
    return this.outcomeOf(name, answer);
  }

  async remove(name: string, expected: SwitchVersion): Promise<CellWrite> {
    return this.outcomeOf(name, await this.api.compareAndDelete(this.keyOf(name), Number(expected)));
  }

  async put(name: string, text: string): Promise<void> {
    for (;;) {
      const current = await this.read(name);
      if ((await this.write(name, text, current?.version ?? 'absent')).kind === 'written') return;
    }
  }

  async listInstances(): Promise<readonly Cell[]> {
    const found = await this.api.readDirectory(this.keyOf(instancesFolder.slice(0, -1)));
    return found.flatMap((node) => cellOf(node) ?? []);
  }

  private async outcomeOf(name: string, answer: WriteAnswer): Promise<CellWrite> {
    if (answer.kind === 'written') return { kind: 'written', version: String(answer.index) as SwitchVersion };
    if (answer.kind === 'no-place')
      throw new KeyferryError('store.request-refused', { store: this.store, detail: answer.detail });
    return { kind: 'lost', current: await this.read(name) };
  }

  private keyOf(name: string): Key {
    return keyFromText(name === '' ? this.key : `${this.key}/${name}`);
  }
}

function cellOf(node: FoundNode | null): Cell | null {
  if (node === null || node.value === null) return null;
  return { value: Buffer.from(node.value).toString('utf8'), version: String(node.modifiedIndex) as SwitchVersion };
}
