/**
 * The product's merge join over pages built from two key files, the files that `comm` reads; its visitor counts. With
 * `join` false the pages are built and dropped: what is left of the difference is the join itself.
 */
import { keyFromText, MergeJoin } from '@keyferry/core';
import { benchPrefix } from '../workload/records.ts';
import { childOptions, measured } from './measured.ts';
import { pagesOfFile } from './page-store.ts';

const { sourceFile, targetFile, join } = childOptions();
const value = new Uint8Array(0);
await measured(() => Promise.resolve(join ? joinFiles() : readFiles()));

function joinFiles(): number {
  const found = { sourceOnly: 0, matched: 0, targetOnly: 0 };
  const prefix = keyFromText(benchPrefix);
  const merge = new MergeJoin(
    { sourcePrefix: prefix, targetPrefix: prefix },
    {
      sourceOnly: () => (found.sourceOnly += 1),
      matched: () => (found.matched += 1),
      targetOnly: () => (found.targetOnly += 1),
      notCarried: () => undefined,
      unplaced: () => undefined,
    },
  );
  const source = pagesOfFile(sourceFile, value);
  const target = pagesOfFile(targetFile, value);
  for (let needs = merge.step(); needs !== 'nothing'; needs = merge.step()) {
    if (needs === 'source') merge.offerSource(source.next().value ?? null);
    else merge.offerTarget(target.next().value ?? null);
  }
  return found.sourceOnly + found.matched + found.targetOnly;
}

function readFiles(): number {
  let keys = 0;
  for (const file of [sourceFile, targetFile]) {
    for (const page of pagesOfFile(file, value)) keys += page.count;
  }
  return keys;
}
