/** Reading a feed step by step, for tests that look at each change. */
import type { ChangeFeed, FeedStep, KeyRange, OpenFeed, Position, SourceChange } from '@keyferry/core';

/** @throws an error with the feed's own words when it lost its position */
export async function readTo(feed: ChangeFeed, reader: OpenFeed, mark: Position): Promise<SourceChange[]> {
  const changes: SourceChange[] = [];
  for (;;) {
    const step = await reader.read({ changesMax: 1000, waitMs: 1000 });
    if (step.kind === 'lost') throw new Error(step.why);
    changes.push(...step.changes);
    if (feed.hasReached(step.position, mark)) return changes;
  }
}

/** Up to the head as it is now. */
export async function changesSince(feed: ChangeFeed, range: KeyRange, position: Position): Promise<SourceChange[]> {
  const reader = await feed.open(range, position);
  try {
    return await readTo(feed, reader, await feed.head());
  } finally {
    await reader.close();
  }
}

export async function firstStep(feed: ChangeFeed, range: KeyRange, position: Position): Promise<FeedStep> {
  const reader = await feed.open(range, position);
  try {
    return await reader.read({ changesMax: 1, waitMs: 1000 });
  } finally {
    await reader.close();
  }
}

export const briefly = (changes: readonly SourceChange[]): readonly string[] =>
  changes.map((each) => {
    if (each.kind === 'put') return `${each.key} = ${Buffer.from(each.value).toString('utf8')}`;
    return each.kind === 'delete' ? `${each.key} gone` : 'a range gone';
  });
