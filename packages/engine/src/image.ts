/**
 * The image of a source under the rules of its migration: a view with each record as it is to be written.
 *
 *     merged     source view ──rules──► image                                    a page at a time, in the source's order
 *     spilled    source view ──rules──► spool, sorted by image key ──► image     where the rules change the order
 *                             (program)
 *
 * Which of the two is core's to say (image-rule.ts); everything that scans takes its prefix rule from there. What the
 * rules leave out is not carried, with its reason. What they find no place for is named and never written: a record
 * that a rule cannot be applied to, one that would leave the target's prefix, and all those that would get one key.
 */
import {
  imageRule,
  isKeyferryError,
  keyAfter,
  prefixRange,
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
import { imageOf, imagesThrough, unplacedRecord, type Image } from './image-records.ts';
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
  /** Records of the image of which nobody can say what record of the source they were made of. */
  readonly untraced: number;
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
      untraced: isSpilled(source) ? source.untraced : 0,
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
 * @throws {KeyferryError} `run.interrupted` when `signal` aborts while it is being sorted; what a program among the rules
 *   fails with.
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
    const pages = async function* (): AsyncGenerator<RecordPage> {
      for (const key of sourceKeys) {
        assertNotStopped(spec.migration, signal);
        yield* scanPages(engine, view, { start: key, end: keyAfter(key) }, signal);
      }
    };
    for await (const made of imagesThrough(engine, spec, pages(), signal)) {
      // Of several that a program made of one record, the first: where that one went is what is asked.
      for (const image of made) if (!images.has(image.sourceKey)) images.set(image.sourceKey, image);
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
  const unplaced: Unplaced[] = [...(page.unplaced ?? [])];
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
  const spool = new ImageSpool(engine.scratch.openSpool(), { mayRepeat: spec.program !== null });
  let sourceKeys = 0;
  const pages = async function* (): AsyncGenerator<RecordPage> {
    for await (const page of scanPages(engine, view, prefixRange(rule.sourcePrefix), signal)) {
      assertNotStopped(spec.migration, signal);
      for (const each of page.unplaced ?? []) spool.addUnplaced({ ...each, key: toTargetKey(rule, each.key) });
      for (const entry of page.notCarried) {
        spool.addNotCarried(entry.key, { ...entry, key: toTargetKey(rule, entry.key) });
      }
      yield page;
      sourceKeys += page.records.length;
      engine.host.emit({ code: 'image.sorting', data: { sourceKeys } });
    }
  };
  try {
    for await (const images of imagesThrough(engine, spec, pages(), signal)) {
      for (const image of images) addTo(spool, image, spec);
    }
    return await spool.sealed(view.position);
  } catch (error) {
    spool.close();
    // A program that was ended because the run was has failed for no other reason.
    assertNotStopped(spec.migration, signal);
    throw error;
  }
}

function addTo(spool: ImageSpool, image: Image, { rule }: MigrationSpec): void {
  switch (image.kind) {
    case 'kept':
      spool.add(image.record);
      return;
    case 'untraced':
      spool.addUntraced(image.record);
      return;
    case 'unplaced':
      spool.addUnplaced(image.unplaced);
      return;
    case 'dropped': {
      const { sourceKey, reason } = image;
      spool.addNotCarried(sourceKey, { key: toTargetKey(rule, sourceKey), reason });
    }
  }
}
