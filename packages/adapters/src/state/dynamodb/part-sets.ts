/**
 * Bodies that are too large for one item: a set of parts, named after the version of the item they belong to.
 *
 *     ledger: writing ──parts are written──► the head names the set, and the entry goes, in one transaction
 *                │                                        │ the head is replaced or removed, and the entry
 *                └──given up, or a day old──► garbage ◄───┘ is made, in one transaction
 *                                                └──► parts are deleted, then the entry
 *
 * So a reader that follows a head finds parts of that version or none, never some of two; and a set that no head names
 * always has an entry, whatever moment its writer died at. A set is taken away only once its entry says garbage: a writer
 * that was given up for dead then finds its entry changed, and its transaction fails.
 */
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { KeyferryError } from '@keyferry/core';
import type { Condition, Connection, SingleWrite } from './connection.ts';
import { unpack } from './body.ts';
import { ledgerKey, ledgerPartition, partKey, type ItemKey } from './keys.ts';
import { partCountOf } from './versions.ts';

/** Long after any writer has ended. Clocks decide no more than when to look: the entry decides who wins. */
const givenUpAfterMs = 24 * 60 * 60 * 1000;
/** Leftovers that one sweep takes away at most. */
const sweptMax = 10;

export class PartSets {
  private readonly connection: Connection;
  private readonly nowMs: () => number;
  private swept = false;

  constructor(connection: Connection, nowMs: () => number) {
    this.connection = connection;
    this.nowMs = nowMs;
  }

  /** Writes a set that no head names yet: follow it by a transaction that holds `adopt(version)`. */
  async write(version: string, parts: readonly Uint8Array[]): Promise<void> {
    await this.sweepOnce();
    await this.connection.write({ put: entry(version, 'writing', this.nowMs()) });
    await this.connection.writeMany(
      parts.map((bytes, n) => ({ put: { ...attributes(partKey(version, n)), bytes: { B: bytes } } })),
    );
  }

  /** Part of the transaction that writes the head. */
  adopt(version: string): SingleWrite {
    return { delete: ledgerKey(version), when: isWriting };
  }

  /** Part of the transaction that replaces or removes the head. */
  disown(version: string): SingleWrite {
    return { put: entry(version, 'garbage', this.nowMs()) };
  }

  /** The body; null when parts are gone, because the item has another version by now. */
  async read(version: string): Promise<string | null> {
    const count = partCountOf(version);
    const items = await this.connection.getMany(Array.from({ length: count }, (_, n) => partKey(version, n)));
    if (items.length < count) return null;
    const parts = new Map(items.map(({ pk, bytes }) => [pk?.S, bytes?.B]));
    const inOrder = Array.from({ length: count }, (_, n) => parts.get(partKey(version, n).pk) ?? new Uint8Array());
    try {
      return await unpack(Buffer.concat(inOrder));
    } catch (cause) {
      const detail = `the parts of version ${version} do not belong together`;
      throw new KeyferryError('state.unusable', { where: this.connection.where, detail }, { cause });
    }
  }

  /**
   * Takes a set away unless a head names it. What cannot be done now is left to a later sweep, as the entry is kept: the
   * write that led here has had its outcome, and must not fail for it.
   */
  async tidy(version: string): Promise<void> {
    try {
      const garbage = entry(version, 'garbage', this.nowMs());
      const { kind } = await this.connection.write({ put: garbage, when: isThere });
      if (kind === 'done') await this.delete(version);
    } catch (error) {
      if (!(error instanceof KeyferryError)) throw error;
    }
  }

  /** What writers that died have left, by the first write of a large body of each process. */
  private async sweepOnce(): Promise<void> {
    if (this.swept) return;
    this.swept = true;
    const page = await this.connection.query(ledgerPartition, { after: null, from: null, limit: 100 });
    const leftovers = page.items.filter(
      ({ state, atMs }) => state?.S === 'garbage' || Number(atMs?.N) + givenUpAfterMs < this.nowMs(),
    );
    for (const { sk } of leftovers.slice(0, sweptMax)) await this.tidy((sk?.S ?? '').slice(1));
  }

  private async delete(version: string): Promise<void> {
    const count = partCountOf(version);
    await this.connection.writeMany(Array.from({ length: count }, (_, n) => ({ delete: partKey(version, n) })));
    await this.connection.write({ delete: ledgerKey(version) });
  }
}

type EntryState = 'writing' | 'garbage';

const entry = (version: string, state: EntryState, atMs: number) => ({
  ...attributes(ledgerKey(version)),
  state: { S: state },
  atMs: { N: String(atMs) },
});

const attributes = ({ pk, sk }: ItemKey): Record<string, AttributeValue> => ({ pk: { S: pk }, sk: { S: sk } });

const isThere: Condition = {
  ConditionExpression: 'attribute_exists(#pk)',
  ExpressionAttributeNames: { '#pk': 'pk' },
};

const isWriting: Condition = {
  ConditionExpression: '#state = :writing',
  ExpressionAttributeNames: { '#state': 'state' },
  ExpressionAttributeValues: { ':writing': { S: 'writing' satisfies EntryState } },
};
