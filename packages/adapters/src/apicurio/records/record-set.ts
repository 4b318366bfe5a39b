/**
 * The records of one registry or archive, in the order of their keys, on disk: neither a walk nor an archive has them in that
 * order, and memory is to stay flat whatever a registry holds.
 */
import { createHash } from 'node:crypto';
import {
  keyToText,
  type Key,
  type RegistryCensus,
  type RegistryCounts,
  type RegistryKind,
  type Version,
} from '@keyferry/core';
import { RecordSpool } from '../../spool/record-spool.ts';
import { keyOf, partsOf, type RecordBody, type RegistryRecord } from './records.ts';

/** A record, or what is expected of one. */
export interface SetEntry extends Omit<RegistryRecord, 'body'> {
  /** Null: there, whatever is in it. */
  readonly body: RecordBody | null;
  /** Absent: it must be there. Of those with one mark exactly one is there; an empty mark: it may be there or not. */
  readonly oneOf?: string;
}

const pageKeysMax = 500;

export class RecordSet {
  private readonly spool = new RecordSpool();
  private readonly mutable: Record<RegistryKind, number> = { ...noCounts };
  private readonly highest = { globalId: 0, contentId: 0 };

  /** Of several of one name the first is kept. */
  add(entry: SetEntry): void {
    const { body, oneOf } = entry;
    const value = Buffer.from(JSON.stringify({ body, ...(oneOf === undefined ? {} : { oneOf }) }));
    this.spool.add({ key: keyOf(entry), value, version: '' as Version, expiresAtMs: null });
    this.mutable[entry.kind] += 1;
    const { globalId, contentId } = body ?? {};
    if (typeof globalId === 'number') this.highest.globalId = Math.max(this.highest.globalId, globalId);
    if (typeof contentId === 'number') this.highest.contentId = Math.max(this.highest.contentId, contentId);
    if (entry.kind === 'content') this.highest.contentId = Math.max(this.highest.contentId, Number(entry.parts[0]));
  }

  /** Closed if that fails. */
  async seal(): Promise<this> {
    try {
      await this.sortOut();
      return this;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  private async sortOut(): Promise<void> {
    await this.spool.seal((key) => {
      this.mutable[partsOf(keyToText(key) ?? '').kind] -= 1;
    });
  }

  get counts(): RegistryCounts {
    return { ...this.mutable };
  }

  get maxima(): { readonly globalId: number; readonly contentId: number } {
    return { ...this.highest };
  }

  /** Sealed before. */
  async *entries(): AsyncGenerator<SetEntry & { readonly key: Key }, void, undefined> {
    for await (const { records } of this.spool.scan({ start: '' as Key, end: null }, { pageKeysMax })) {
      for (const { key, value } of records) {
        const { body, oneOf } = JSON.parse(Buffer.from(value).toString()) as Pick<SetEntry, 'body' | 'oneOf'>;
        yield { key, ...partsOf(keyToText(key) ?? ''), body, ...(oneOf === undefined ? {} : { oneOf }) };
      }
    }
  }

  /** @returns what is kept of a walk */
  async census(requests: number, tookMs: number): Promise<RegistryCensus> {
    const hash = createHash('sha256');
    for await (const { key, body } of this.entries()) hash.update(`${key}\n${JSON.stringify(body)}\n`);
    const { globalId: globalIdMax, contentId: contentIdMax } = this.highest;
    return { counts: this.counts, globalIdMax, contentIdMax, sha256: hash.digest('hex'), requests, tookMs };
  }

  close(): void {
    this.spool.close();
  }
}

export const noCounts: RegistryCounts = {
  group: 0,
  artifact: 0,
  version: 0,
  content: 0,
  globalRule: 0,
  groupRule: 0,
  artifactRule: 0,
  comment: 0,
  branch: 0,
};
