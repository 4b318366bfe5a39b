/**
 * What the rules make of single records, in keys of the target.
 *
 *     record ──rules──► image                                    at once, each by itself
 *     records ──rules──► program ──rules behind it──► images     through another process, in any order
 *
 * Rules see the key as it would be written so far; a program is told where each record came from besides. What a program
 * answers is held against the target's prefix like what any other rule makes.
 */
import {
  keyForDisplay,
  recordBytes,
  toTargetKey,
  type Key,
  type MigrationSpec,
  type Moving,
  type NotCarriedReason,
  type ProgramAnswer,
  type ProgramInput,
  type ProgramOrigin,
  type ProgramStage,
  type RecordPage,
  type StopSignal,
  type StoredRecord,
  type Transform,
  type TransformOutcome,
  type Unplaced,
  type Version,
} from '@keyferry/core';
import type { Engine } from './migration.ts';

/** What became of a record of the source. */
export type Image = Pick<ProgramOrigin, 'sourceKey' | 'version'> &
  (
    | { readonly kind: 'kept'; readonly record: StoredRecord & { readonly sourceKey: Key } }
    | { readonly kind: 'dropped'; readonly reason: NotCarriedReason }
    | { readonly kind: 'unplaced'; readonly unplaced: Unplaced }
    /** Nobody can say of which record; `sourceKey` is its own key. */
    | { readonly kind: 'untraced'; readonly record: StoredRecord }
  );

/** One record under the rules up to the program, if there is one. */
export function imageOf(record: StoredRecord, spec: MigrationSpec): Image {
  const { value, expiresAtMs } = record;
  const moving = { key: toTargetKey(spec.rule, record.key), value, expiresAtMs };
  return imageFrom(applied(spec.transform, moving), originOf(record), spec);
}

/** What becomes of all records of `pages`; a page of images need not be of a page of records. */
export async function* imagesThrough(
  engine: Pick<Engine, 'scratch' | 'clock'>,
  spec: MigrationSpec,
  pages: AsyncIterable<RecordPage>,
  signal?: StopSignal,
): AsyncGenerator<readonly Image[]> {
  const { program } = spec;
  if (program === null) {
    for await (const { records } of pages) yield records.map((record) => imageOf(record, spec));
    return;
  }
  // What the rules before the program leave out never gets to it.
  const settled: Image[] = [];
  const run = { scratch: engine.scratch, nowMs: engine.clock.nowMs(), signal };
  for await (const answers of program.program.run(inputsOf(pages, spec, settled), run)) {
    yield [...settled.splice(0), ...answers.flatMap((answer) => imagesOfAnswer(answer, program, spec))];
  }
  yield settled;
}

async function* inputsOf(
  pages: AsyncIterable<RecordPage>,
  { rule, transform }: MigrationSpec,
  settled: Image[],
): AsyncGenerator<readonly ProgramInput[]> {
  for await (const { records, notCarried } of pages) {
    const inputs: ProgramInput[] = [];
    for (const { key: sourceKey, reason } of notCarried) {
      if (reason === 'dir.with-children' || reason === 'dir.empty') inputs.push({ kind: 'directory', sourceKey });
    }
    for (const record of records) {
      const { key: sourceKey, value, expiresAtMs, version, created = null } = record;
      const outcome = applied(transform, { key: toTargetKey(rule, sourceKey), value, expiresAtMs });
      if (outcome.kind === 'kept') inputs.push({ kind: 'record', ...outcome.record, sourceKey, version, created });
      else settled.push(imageLeftOut(outcome, originOf(record), rule));
    }
    yield inputs.toSorted((a, b) => (a.sourceKey < b.sourceKey ? -1 : 1));
  }
}

function imagesOfAnswer(answer: ProgramAnswer, { after }: ProgramStage, spec: MigrationSpec): readonly Image[] {
  switch (answer.kind) {
    case 'kept':
      return answer.records.map((record) => imageFrom(applied(after, record), answer.of, spec));
    case 'untraced':
      return answer.records.map((record) => untracedImage(applied(after, record), record, spec));
    case 'dropped':
      return [imageLeftOut({ kind: 'dropped', reason: 'rule.dropped' }, answer.of, spec.rule)];
    case 'failed':
      return [imageLeftOut(answer, answer.of, spec.rule)];
  }
}

const applied = (transform: Transform | null, record: Moving): TransformOutcome =>
  transform === null ? { kind: 'kept', record } : transform.apply(record);

const originOf = (record: StoredRecord): ProgramOrigin => ({
  sourceKey: record.key,
  version: record.version,
  bytes: recordBytes(record),
});

function imageFrom(outcome: TransformOutcome, origin: ProgramOrigin, { rule }: MigrationSpec): Image {
  if (outcome.kind !== 'kept') return imageLeftOut(outcome, origin, rule);
  const { sourceKey, version } = origin;
  const { record } = outcome;
  if (!record.key.startsWith(rule.targetPrefix)) return outsidePrefix(record.key, origin, rule);
  const oneWay = outcome.oneWay === true ? ({ oneWay: true } as const) : {};
  return { kind: 'kept', sourceKey, version, record: { ...record, version, sourceKey, ...oneWay } };
}

function untracedImage(outcome: TransformOutcome, { key, value }: Moving, spec: MigrationSpec): Image {
  const origin = { sourceKey: key, version: '' as Version, bytes: key.length + value.length };
  const image = imageFrom(outcome, origin, spec);
  return image.kind === 'kept' ? { ...image, kind: 'untraced' } : image;
}

type LeftOut = Exclude<TransformOutcome, { readonly kind: 'kept' }>;

function imageLeftOut(outcome: LeftOut, origin: ProgramOrigin, rule: MigrationSpec['rule']): Image {
  const { sourceKey, version } = origin;
  if (outcome.kind === 'dropped') return { kind: 'dropped', sourceKey, version, reason: outcome.reason };
  const unplaced = unplacedOf(origin, toTargetKey(rule, sourceKey), 'rule.failed', outcome.detail);
  return { kind: 'unplaced', sourceKey, version, unplaced };
}

function outsidePrefix(key: Key, origin: ProgramOrigin, rule: MigrationSpec['rule']): Image {
  const { sourceKey, version } = origin;
  const detail = `becomes ${keyForDisplay(key)}, which is not under ${keyForDisplay(rule.targetPrefix)}`;
  const unplaced = unplacedOf(origin, toTargetKey(rule, sourceKey), 'key.outside-prefix', detail);
  return { kind: 'unplaced', sourceKey, version, unplaced };
}

export function unplacedRecord(record: StoredRecord, key: Key, reason: Unplaced['reason'], detail: string): Unplaced {
  return unplacedOf(originOf(record), key, reason, detail);
}

const unplacedOf = (
  { sourceKey, bytes }: ProgramOrigin,
  key: Key,
  reason: Unplaced['reason'],
  detail: string,
): Unplaced => ({ key, reason, sourceKeys: [sourceKey], count: 1, bytes, detail });
