/**
 * The image of a source under the rules of its migration: the same view, with each record as it is to be written.
 *
 * Only rules that keep keys get here, so order and ranges are the source's own and no record needs a second look. What
 * the rules leave out is not carried, with its reason; what they cannot be applied to ends the plan, with its key named.
 */
import {
  keyForDisplay,
  KeyferryError,
  toTargetKey,
  type MigrationSpec,
  type NotCarried,
  type RecordPage,
  type SourceStore,
  type StoredRecord,
  type StoreView,
} from '@keyferry/core';
import type { Engine } from './migration.ts';

/** The engine with the source as the rules show it. */
export function withImage(engine: Engine, spec: MigrationSpec): Engine {
  if (spec.transform === null) return engine;
  const { source } = engine;
  const image: SourceStore = {
    capabilities: source.capabilities,
    describe: () => source.describe(),
    head: () => source.head(),
    readMembers: () => source.readMembers(),
    openView: async (range) => imageView(await source.openView(range), spec),
    close: () => source.close(),
  };
  return { ...engine, source: image };
}

function imageView(view: StoreView, spec: MigrationSpec): StoreView {
  return {
    position: view.position,
    async *scan(range, options) {
      for await (const page of view.scan(range, options)) yield imagePage(page, spec);
    },
    close: () => view.close(),
  };
}

function imagePage(page: RecordPage, spec: MigrationSpec): RecordPage {
  const records: StoredRecord[] = [];
  const notCarried: NotCarried[] = [...page.notCarried];
  for (const record of page.records) {
    const image = imageOf(record, spec);
    if (typeof image === 'string') notCarried.push({ key: record.key, reason: image });
    else records.push(image);
  }
  return { records, notCarried };
}

/** Rules see the key as it will be written. @throws {KeyferryError} `rule.failed` */
function imageOf(record: StoredRecord, { transform, rule }: MigrationSpec): StoredRecord | NotCarried['reason'] {
  if (transform === null) return record;
  const key = toTargetKey(rule, record.key);
  const outcome = transform.apply({ key, value: record.value, expiresAtMs: record.expiresAtMs });
  switch (outcome.kind) {
    case 'kept':
      return { ...record, value: outcome.record.value, expiresAtMs: outcome.record.expiresAtMs };
    case 'dropped':
      return outcome.reason;
    case 'failed':
      throw new KeyferryError('rule.failed', { key: keyForDisplay(key), detail: outcome.detail });
  }
}
