/**
 * Goal: of branches that an export of 3.0 shows in the order of names, those are differences that differ by the API too; many are
 * asked at once, because writers wait. Method: answers of an API played by hand, that wait for each other; what 3.0.9 itself says is
 * in test/contract/apicurio-targets.test.ts.
 */
import { describe, expect, it } from 'vitest';
import type { RegistryApi } from '../api/registry-api.ts';
import { branchRecord } from '../records/records.ts';
import { lanesMax } from '../v2/walk.ts';
import { withoutOrderOfExport, type ChangedBranch } from './compare.ts';

const { signal } = new AbortController();
const written = ['2', '10', '9'];
const branchOf = (artifactId: string): ChangedBranch => ({
  kind: 'changed',
  expected: branchRecord({ groupId: 'g', artifactId }, 'latest', written),
  found: branchRecord({ groupId: 'g', artifactId }, 'latest', ['10', '2', '9']),
  fields: ['versions'],
});

/** The latest first; nobody is answered before as many ask as there are lanes, or all that are left do. */
class PlayedApi {
  readonly store = 'new';
  underWay = 0;
  most = 0;
  private readonly wrong: ReadonlySet<string>;
  private left: number;
  private waiting: (() => void)[] = [];

  constructor(wrong: readonly string[], calls: number) {
    this.wrong = new Set(wrong);
    this.left = calls;
  }

  async get(path: string) {
    this.underWay += 1;
    this.most = Math.max(this.most, this.underWay);
    await new Promise<void>((resolve) => {
      this.waiting.push(resolve);
      if (this.waiting.length < Math.min(lanesMax, this.left)) return;
      this.left -= this.waiting.length;
      for (const answer of this.waiting.splice(0)) answer();
    });
    this.underWay -= 1;
    const isWrong = [...this.wrong].some((artifactId) => path.includes(`/${artifactId}/`));
    const versions = isWrong ? written : written.toReversed();
    return { count: versions.length, versions: versions.map((version) => ({ version })) };
  }
}

describe('branches in another order than was expected', () => {
  it('are asked of the API, many at once, and told in their order where it has another one too', async () => {
    const ids = Array.from({ length: 3 * lanesMax + 1 }, (_, i) => `a${i}`);
    const api = new PlayedApi(['a20', 'a3'], ids.length);
    const told = await withoutOrderOfExport(api as unknown as RegistryApi, ids.map(branchOf), signal);
    expect(told.map(({ found }) => found.parts[1])).toEqual(['a3', 'a20']);
    expect(api.most).toBe(lanesMax);
  });
});
