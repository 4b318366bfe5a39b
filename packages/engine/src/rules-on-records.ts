/** What the rules of a migration, a program among them, make of records that lie in no store: for `test`. */
import type { MigrationSpec, RecordPage, StoredRecord, TransformOutcome, Version } from '@keyferry/core';
import { imagesThrough } from './image-records.ts';
import type { Engine } from './migration.ts';

/**
 * By the version of each record, which must be its own number. What cannot be traced to a record is under none.
 * @throws {KeyferryError} what a program fails with
 */
export async function rulesOnRecords(
  engine: Pick<Engine, 'scratch' | 'clock'>,
  spec: MigrationSpec,
  records: readonly StoredRecord[],
): Promise<ReadonlyMap<Version, readonly TransformOutcome[]>> {
  const page: RecordPage = { records, notCarried: [] };
  const outcomes = new Map<Version, TransformOutcome[]>();
  const pages = async function* (): AsyncGenerator<RecordPage> {
    yield await Promise.resolve(page);
  };
  for await (const images of imagesThrough(engine, spec, pages())) {
    for (const image of images) {
      const of = outcomes.get(image.version) ?? [];
      outcomes.set(image.version, of);
      if (image.kind === 'kept') of.push({ kind: 'kept', record: image.record });
      else if (image.kind === 'dropped') of.push({ kind: 'dropped', reason: image.reason });
      else if (image.kind === 'unplaced') of.push({ kind: 'failed', detail: image.unplaced.detail });
    }
  }
  return outcomes;
}
