/** Reads marks from the tree, as a stream: a migration of ten million records has as many as a hundred thousand. */
import { KeyferryError, type Key } from '@keyferry/core';
import type { EtcdV2Api } from './api.ts';
import { MarkSet } from './marks.ts';
import { TreeWalker } from './tree-walker.ts';

/** @returns what the marks below a directory say, and the index of the store at which they were read */
export async function readMarks(
  store: string,
  api: EtcdV2Api,
  directory: Key,
): Promise<{ readonly marks: MarkSet; readonly readAt: number }> {
  return await api.readTree(directory, async (position, answer) => {
    const marks = new MarkSet();
    if (answer === null) return { marks, readAt: Number(position) };
    const walker = new TreeWalker({
      node: ({ key, value, modifiedIndex }) => {
        if (value === null || marks.addText(value, Number(modifiedIndex))) return;
        throw new KeyferryError('fence.unreadable', { store, where: key });
      },
      broken: (detail) => new KeyferryError('store.answer-unexpected', { store, detail }),
    });
    for await (const piece of answer.pieces()) walker.write(piece);
    walker.end();
    return { marks, readAt: Number(position) };
  });
}
