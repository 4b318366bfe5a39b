/**
 * A switch in DynamoDB: items of a table with the keys of a state table, and it may be the state's own.
 *
 *     pk                  sk                     holds
 *     switch#<name>       record                 the mode
 *     switch#<name>       primary                which store applications use, under strategy replicate
 *     switch#<name>       instances/<id>         a registration
 *     switch#<name>       plain                  the plain form
 *
 * Reads are strongly consistent; each change is one conditional request. A version is random, so that an item that was
 * removed and made anew never has an old one. An application's role needs `dynamodb:GetItem`, `PutItem`, `DeleteItem` and
 * `Query` on that partition alone (`dynamodb:LeadingKeys`).
 */
import { randomUUID } from 'node:crypto';
import { type PlainSwitch, type PrimarySwitch, type Switch, type SwitchVersion } from '@keyferry/core';
import {
  CellPrimarySwitch,
  CellSwitch,
  instancesFolder,
  plainSwitchOf,
  type Cell,
  type Cells,
  type CellWrite,
  type PlainCells,
} from '../../switch/cells.ts';
import { Connection, type Condition, type ConnectionOptions, type Item } from './connection.ts';

export interface DynamoDbSwitchOptions extends ConnectionOptions {
  /** Several switches in one table differ by this. */
  readonly name: string;
}

/** Connects with the first call. @throws the codes of a state in DynamoDB, from every method of the switch */
export function openDynamoDbSwitch(options: DynamoDbSwitchOptions): Switch {
  return new CellSwitch(new DynamoDbCells(options));
}

/** Of strategy `replicate`. Connects with the first call. */
export function openDynamoDbPrimarySwitch(options: DynamoDbSwitchOptions): PrimarySwitch {
  return new CellPrimarySwitch(new DynamoDbCells(options));
}

export function openDynamoDbPlainSwitch(options: DynamoDbSwitchOptions): PlainSwitch {
  return plainSwitchOf(new DynamoDbCells(options), plainName);
}

const plainName = 'plain';
const pageItemsMax = 1000;
const isAbsent: Condition = {
  ConditionExpression: 'attribute_not_exists(#pk)',
  ExpressionAttributeNames: { '#pk': 'pk' },
};

class DynamoDbCells implements Cells, PlainCells {
  readonly where: string;
  private readonly connection: Connection;
  private readonly pk: string;

  constructor({ name, ...connecting }: DynamoDbSwitchOptions) {
    this.connection = new Connection(connecting);
    this.pk = `switch#${name}`;
    this.where = `switch ${name} in ${this.connection.where}`;
  }

  async read(name: string): Promise<Cell | null> {
    return cellOf(await this.connection.get({ pk: this.pk, sk: name }));
  }

  async write(name: string, text: string, expected: SwitchVersion | 'absent'): Promise<CellWrite> {
    const version = randomUUID() as SwitchVersion;
    const put = this.itemOf(name, text, version);
    const result = await this.connection.write({ put, when: expected === 'absent' ? isAbsent : isAt(expected) });
    return result.kind === 'done' ? { kind: 'written', version } : { kind: 'lost', current: cellOf(result.found) };
  }

  async remove(name: string, expected: SwitchVersion): Promise<CellWrite> {
    const result = await this.connection.write({ delete: { pk: this.pk, sk: name }, when: isAt(expected) });
    if (result.kind === 'refused') return { kind: 'lost', current: cellOf(result.found) };
    return { kind: 'written', version: randomUUID() as SwitchVersion };
  }

  async put(name: string, text: string): Promise<void> {
    await this.connection.write({ put: this.itemOf(name, text, randomUUID() as SwitchVersion) });
  }

  /** `instances/` sorts before every other name but what begins alike, so the list ends where that does. */
  async listInstances(): Promise<readonly Cell[]> {
    const cells: Cell[] = [];
    let from: Item | null = null;
    do {
      const page = await this.connection.query(this.pk, { after: instancesFolder, from, limit: pageItemsMax });
      for (const item of page.items) {
        if (item['sk']?.S?.startsWith(instancesFolder) === true) cells.push(...[cellOf(item)].filter(isThere));
      }
      from = page.next;
    } while (from !== null);
    return cells;
  }

  async close(): Promise<void> {
    this.connection.close();
  }

  private itemOf(name: string, text: string, version: SwitchVersion): Item {
    return { pk: { S: this.pk }, sk: { S: name }, version: { S: version }, body: { S: text } };
  }
}

const isThere = (cell: Cell | null): cell is Cell => cell !== null;

function isAt(version: SwitchVersion): Condition {
  return {
    ConditionExpression: '#version = :version',
    ExpressionAttributeNames: { '#version': 'version' },
    ExpressionAttributeValues: { ':version': { S: version } },
  };
}

function cellOf(item: Item | null): Cell | null {
  if (item === null) return null;
  return { value: item['body']?.S ?? '', version: (item['version']?.S ?? '') as SwitchVersion };
}
