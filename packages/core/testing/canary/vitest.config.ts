/** Runs the canaries alone: tests that must fail, and that no other project may pick up. Prints one line of JSON. */
import { defineConfig } from 'vitest/config';
import type { Reporter } from 'vitest/node';

export interface CanaryResult {
  /** Names of the suites around the test, then its own, with ` > ` between them. */
  readonly fullName: string;
  readonly state: string;
}

const reporter: Reporter = {
  onTestRunEnd(modules) {
    const results = modules.flatMap((module) =>
      [...module.children.allTests()].map((test): CanaryResult => ({
        fullName: test.fullName,
        state: test.result().state,
      })),
    );
    process.stdout.write(`${JSON.stringify(results)}\n`);
  },
};

export default defineConfig({
  test: { root: import.meta.dirname, include: ['*.canary.ts'], reporters: [reporter], watch: false, cache: false },
});
