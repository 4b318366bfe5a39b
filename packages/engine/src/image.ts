/**
 * The image of a source under the rules of its migration: a view with each record as it is to be written.
 *
 *     merged     source view ──rules──► image                                    a page at a time, in the source's order
 *     spilled    source view ──rules──► spool, sorted by image key ──► image     where the rules change the order
 *
 * Which of the two is core's to say (image-rule.ts); everything that scans takes its prefix rule from there. What the
 * rules leave out is not carried, with its reason. What they find no place for is named and never written: a record
 * that a rule cannot be applied to, one that would leave the target's prefix, and all those that would get one key.
 */
import {
  imageRule,
  isKeyferryError,
  keyAfter,
  keyForDisplay,
  prefixRange,
  recordBytes,
  toTargetKey,
  type Key,
  type MigrationSpec,
  type NotCarried,
  type PlanDocument,
  type RecordPage,
  type StopSignal,
  type StoredRecord,
  type StoreView,
  type Unplaced,
} from '@keyferry/core';
import { ImageSpool, type SpilledImage } from './image-spool.ts';
import { isWorthLookingUp, openLookedUp } from './looked-up-target.ts';
import { assertNotStopped, type Engine } from './migration.ts';
import { scanPages } from './pages.ts';
import { withRetry } from './retry.ts';

/** How often a spill begins anew because the source dropped the state that it was reading. */
const spillTriesMax = 3;

export interface Views {
  readonly source: StoreView;
  readonly target: StoreView;
  /** looked-up: of the target only the keys of the image are seen. */
  readonly targetRead: PlanDocument['targetRead'];
  close(): Promise<void>;
}

/** The ranges of a whole migration: of the keys that are scanned, and of those of the target. */
export const spansOf = (spec: MigrationSpec) => ({
  source: prefixRange(imageRule(spec).rule.sourcePrefix),
  target: prefixRange(spec.rule.targetPrefix),
});

/** Opens the image of the source and the target for a whole migration; close both with one call. */
export async function openViews(engine: Engine, spec: MigrationSpec, signal?: StopSignal): Promise<Views> {
  const source = await openImage(engine, spec, signal);
  try {
    const looksUp = isSpilled(source) && (await isWorthLookingUp(engine, spec, source));
    const target = looksUp
      ? await openLookedUp(engine, source)
      : await withRetry(engine, 'open target', () => engine.target.openView(spansOf(spec).target));
    return {
      source,
      target,
      targetRead: looksUp ? 'looked-up' : 'scanned',
      close: async () => {
        await Promise.all([source.close(), target.close()]);
      },
    };
  } catch (error) {
    await source.close();
    throw error;
  }
}

/**
 * A view of the image of the source. Retries what may pass.
 * @throws {KeyferryError} `run.interrupted` when `signal` aborts while it is being sorted.
 */
export async function openImage(
  engine: Engine,
  spec: MigrationSpec,
  signal?: StopSignal,
): Promise<StoreView | SpilledImage> {
  if (imageRule(spec).order === 'merged') return mergedView(await openSource(engine, spec, signal), spec);
  for (let tries = 1; ; tries += 1) {
    const view = await openSource(engine, spec, signal);
    try {
      return await spill(engine, spec, view, signal);
    } catch (error) {
      if (!isKeyferryError(error, 'store.position-compacted') || tries >= spillTriesMax) throw error;
    } finally {
      await view.close();
    }
  }
}

function openSource(engine: Engine, { rule }: MigrationSpec, signal?: StopSignal): Promise<StoreView> {
  return withRetry(engine, 'open source', () => engine.source.openView(prefixRange(rule.sourcePrefix)), signal);
}

/** What becomes of single source records now: for records whose image key nobody knows any more. */
export async function imagesOf(
  engine: Engine,
  spec: MigrationSpec,
  sourceKeys: readonly Key[],
  signal?: StopSignal,
): Promise<ReadonlyMap<Key, Image>> {
  const images = new Map<Key, Image>();
  if (sourceKeys.length === 0) return images;
  const view = await openSource(engine, spec, signal);
  try {
    for (const key of sourceKeys) {
      assertNotStopped(spec.migration, signal);
      for await (const { records } of scanPages(engine, view, { start: key, end: keyAfter(key) }, signal)) {
        for (const record of records) images.set(key, imageOf(record, spec));
      }
    }
    return images;
  } finally {
    await view.close();
  }
}

const isSpilled = (view: StoreView | SpilledImage): view is SpilledImage => 'keys' in view;

function mergedView(view: StoreView, spec: MigrationSpec): StoreView {
  if (spec.transform === null) return view;
  return {
    position: view.position,
    async *scan(range, options) {
      for await (const page of view.scan(range, options)) yield mergedPage(page, spec);
    },
    close: () => view.close(),
  };
}

/** In the source's own keys: the prefix rule to scan by makes the image's of them. */
function mergedPage(page: RecordPage, spec: MigrationSpec): RecordPage {
  const { rule } = imageRule(spec);
  const records: StoredRecord[] = [];
  const notCarried: NotCarried[] = [...page.notCarried];
  const unplaced: Unplaced[] = [];
  for (const record of page.records) {
    const image = imageOf(record, spec);
    if (image.kind === 'dropped') notCarried.push({ key: record.key, reason: image.reason });
    else if (image.kind === 'unplaced') unplaced.push({ ...image.unplaced, key: record.key });
    else if (image.record.key === toTargetKey(rule, record.key)) records.push({ ...image.record, key: record.key });
    else unplaced.push(unplacedRecord(record, record.key, 'rule.failed', 'a rule moved the key, against what it says'));
  }
  return { records, notCarried, unplaced };
}

async function spill(engine: Engine, spec: MigrationSpec, view: StoreView, signal?: StopSignal): Promise<SpilledImage> {
  const { rule } = spec;
  const spool = new ImageSpool(engine.scratch.openSpool());
  let sourceKeys = 0;
  try {
    for await (const page of scanPages(engine, view, prefixRange(rule.sourcePrefix), signal)) {
      assertNotStopped(spec.migration, signal);
      for (const { key, reason } of page.notCarried) spool.addNotCarried(key, { key: toTargetKey(rule, key), reason });
      for (const record of page.records) {
        const image = imageOf(record, spec);
        if (image.kind === 'kept') spool.add(image.record);
        else if (image.kind === 'unplaced') spool.addUnplaced(image.unplaced);
        else spool.addNotCarried(record.key, { key: toTargetKey(rule, record.key), reason: image.reason });
      }
      sourceKeys += page.records.length;
      engine.host.emit({ code: 'image.sorting', data: { sourceKeys } });
    }
    return spool.sealed(view.position);
  } catch (error) {
    spool.close();
    throw error;
  }
}

export type Image =
  | { readonly kind: 'kept'; readonly record: StoredRecord & { readonly sourceKey: StoredRecord['key'] } }
  | { readonly kind: 'dropped'; readonly reason: NotCarried['reason'] }
  | { readonly kind: 'unplaced'; readonly unplaced: Unplaced };

/** One record under the rules, in keys of the target; rules see the key as it will be written. */
function imageOf(record: StoredRecord, { transform, rule }: MigrationSpec): Image {
  const { key: sourceKey, version } = record;
  const key = toTargetKey(rule, sourceKey);
  const moving = { key, value: record.value, expiresAtMs: record.expiresAtMs };
  const outcome = transform === null ? ({ kind: 'kept', record: moving } as const) : transform.apply(moving);
  switch (outcome.kind) {
    case 'dropped':
      return outcome;
    case 'failed':
      return { kind: 'unplaced', unplaced: unplacedRecord(record, key, 'rule.failed', outcome.detail) };
    case 'kept': {
      const image = outcome.record;
      if (!image.key.startsWith(rule.targetPrefix)) {
        const detail = `becomes ${keyForDisplay(image.key)}, which is not under ${keyForDisplay(rule.targetPrefix)}`;
        return { kind: 'unplaced', unplaced: unplacedRecord(record, key, 'key.outside-prefix', detail) };
      }
      const oneWay = outcome.oneWay === true ? ({ oneWay: true } as const) : {};
      return { kind: 'kept', record: { ...image, version, sourceKey, ...oneWay } };
    }
  }
}

function unplacedRecord(
  record: StoredRecord,
  key: StoredRecord['key'],
  reason: Unplaced['reason'],
  detail: string,
): Unplaced {
  return { key, reason, sourceKeys: [record.key], count: 1, bytes: recordBytes(record), detail };
}
