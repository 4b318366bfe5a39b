/** The contract of ports/store.ts for reading: what every source, and every target as it is read, promises. */
import { describe, expect, it } from 'vitest';
import { expirySuite } from './expiry.ts';
import { seedOf, withFixture, type ReadableHarness, type SourceHarness } from './harness.ts';
import { scanSuite } from './scan.ts';
import { viewSuite } from './view.ts';

/** Registers the suite: call it at the top level of a test file. */
export function sourceContract(name: string, harness: SourceHarness): void {
  describe(`${name} as a source`, () => {
    readingSuites(harness);

    it('asks its members one by one, or says that it has none', ({ skip }) =>
      withFixture(harness.open([seedOf(harness, 'a')]), async ({ store }) => {
        const members = await store.readMembers();
        const { members: count } = await store.describe();
        if (members === null) return skip('the store has no members');
        expect(members).toHaveLength(count ?? 0);
        expect(new Set(members.map(({ member }) => member)).size).toBe(members.length);
        for (const { raftIndex } of members) expect(raftIndex).toBeGreaterThan(0n);
      }));
  });
}

export function readingSuites(harness: ReadableHarness): void {
  it('describes itself in plain JSON', () =>
    withFixture(harness.open([]), async ({ store }) => {
      const description = await store.describe();
      expect(description.kind).not.toBe('');
      expect(description.version).not.toBe('');
      expect(JSON.parse(JSON.stringify(description))).toEqual(description);
    }));

  scanSuite(harness);
  viewSuite(harness);
  expirySuite(harness);
}
