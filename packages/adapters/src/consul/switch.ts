/**
 * A switch in Consul: keys below one of the user's choice, each change one transaction on its ModifyIndex.
 *
 * `<key>/record` is what a target that holds its own switch compares in every application's write. Reads are consistent
 * ones: the leader proves to a quorum that it still is one. Registrations are plain keys and held by no session: a session
 * that ended would take them away, and a barrier waits for just those (ADR 19). `<key>` itself is the plain form.
 */
import {
  keyFromText,
  plainSwitchIsOver,
  plainSwitchText,
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
import { assertTokenWhereNeeded } from './access.ts';
import { connectionTo, type ConsulConnection, type ConsulConnectionOptions } from './connection.ts';
import type { ConsulEntry } from './entry.ts';
import { lookUp } from './look-up.ts';
import { plain, type Operation } from './operations.ts';

export interface ConsulSwitchOptions extends ConsulConnectionOptions {
  /** Default `_keyferry/switch`. */
  readonly key?: string | undefined;
  /** For one request to one agent. Default 5,000. */
  readonly requestTimeoutMs?: number | undefined;
}

const defaultKey = '_keyferry/switch';
const defaultOnlineTimeoutMs = 5000;

/** Connects with the first call. */
export function openConsulSwitch(options: ConsulSwitchOptions): Switch {
  return new CellSwitch(new ConsulCells(options));
}

/** For strategy `replicate`. Connects with the first call. */
export function openConsulPrimarySwitch(options: ConsulSwitchOptions): PrimarySwitch {
  return new CellPrimarySwitch(new ConsulCells(options));
}

/** @param options `key` is the application's own key */
export function openConsulPlainSwitch(options: ConsulSwitchOptions & { readonly key: string }): PlainSwitch {
  const { client, api } = connectionTo(options, defaultOnlineTimeoutMs);
  const key = keyFromText(options.key);
  return {
    where: whereOf(options),
    isOver: async () => {
      const [entry = null] = await lookUp(api, [key]);
      return plainSwitchIsOver(entry && textOf(entry));
    },
    write: async (isOver) => {
      await api.writeTransaction([api.operations.set(key, plain(Buffer.from(plainSwitchText(isOver))))]);
    },
    close: async () => client.close(),
  };
}

class ConsulCells implements Cells {
  readonly where: string;
  private readonly connection: ConsulConnection;
  private readonly base: string;

  constructor(options: ConsulSwitchOptions) {
    this.where = whereOf(options);
    this.connection = connectionTo(options, defaultOnlineTimeoutMs);
    this.base = `${options.key ?? defaultKey}/`;
  }

  async read(name: string): Promise<Cell | null> {
    const [entry = null] = await lookUp(this.connection.api, [this.keyOf(name)]);
    return entry && cellOf(entry);
  }

  write(name: string, text: string, expected: SwitchVersion | 'absent'): Promise<CellWrite> {
    const key = this.keyOf(name);
    const index = expected === 'absent' ? 0 : indexOf(expected);
    const put = this.connection.api.operations.cas(key, plain(Buffer.from(text, 'utf8')), index);
    // 0 is a condition of its own: nothing is there.
    return this.change(name, expected !== 'absent' && index === 0 ? null : [put]);
  }

  remove(name: string, expected: SwitchVersion): Promise<CellWrite> {
    const { operations } = this.connection.api;
    const [key, index] = [this.keyOf(name), indexOf(expected)];
    // A delete at an index succeeds where nothing is, so that is checked by itself.
    return this.change(name, index === 0 ? null : [operations.checkIndex(key, index), operations.deleteAt(key, index)]);
  }

  async listInstances(): Promise<readonly Cell[]> {
    const { api } = this.connection;
    await assertTokenWhereNeeded(api);
    return await api.readTree(keyFromText(this.base + instancesFolder), async (feed) => {
      const cells: Cell[] = [];
      await feed({ take: (entry) => void cells.push(cellOf(entry)), notText: () => undefined });
      return cells;
    });
  }

  async close(): Promise<void> {
    this.connection.client.close();
  }

  /** @param operations null: the version is none of Consul, so no entry has it */
  private async change(name: string, operations: readonly Operation[] | null): Promise<CellWrite> {
    if (operations !== null) {
      const answer = await this.connection.api.writeTransaction(operations);
      if (answer.kind === 'done') {
        return { kind: 'written', version: String(answer.entries[0]?.modifyIndex ?? 0) as SwitchVersion };
      }
    }
    return { kind: 'lost', current: await this.read(name) };
  }

  private keyOf(name: string): Key {
    return keyFromText(this.base + name);
  }
}

const whereOf = ({ key = defaultKey, name }: ConsulSwitchOptions): string => `${key} in ${name}`;

const textOf = ({ value }: ConsulEntry): string => Buffer.from(value).toString('utf8');

const cellOf = (entry: ConsulEntry): Cell => ({
  value: textOf(entry),
  version: String(entry.modifyIndex) as SwitchVersion,
});

/** 0: it is no version of Consul. */
function indexOf(version: SwitchVersion): number {
  return /^[1-9]\d{0,14}$/.test(version) ? Number(version) : 0;
}
