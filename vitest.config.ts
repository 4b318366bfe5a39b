/**
 * Five kinds of tests and the project's own checks, each a vitest project, so that one can be run alone: `unit` and
 * `tidy` in milliseconds, `sim` in seconds, `contract` (real servers), `e2e` (the built binary) and `release` (what
 * leaves the repository: packages and executable) in minutes.
 */
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// Workspace packages are loaded from their sources; the rest is what Node itself goes by. Vite's `module` is left out: Node
// does not know it, and packages offer bundlers files under it that Node cannot load.
const conditions = ['keyferry-source', 'node', 'development|production'];
const simulations = '**/*.sim.test.ts';
const ignored = ['**/node_modules/**', '**/dist/**'];

/** @param timeoutMs for one test and for one hook */
function project(name: string, include: string[], timeoutMs: number, exclude: string[] = []) {
  return {
    extends: true as const,
    test: { name, include, exclude: [...ignored, ...exclude], testTimeout: timeoutMs, hookTimeout: timeoutMs },
  };
}

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    environment: 'node',
    // By default one core is left to whoever watches. Tests of real servers wait more than they compute.
    maxWorkers: Math.max(2, availableParallelism()),
    setupFiles: [fileURLToPath(new URL('vitest.setup.ts', import.meta.url))],
    // @oclif/test reads what a command prints; vitest's interception would swallow it.
    disableConsoleIntercept: true,
    projects: [
      project(
        'unit',
        ['packages/*/src/**/*.test.ts', 'packages/*/testing/**/*.test.ts', 'tools/**/*.test.ts'],
        30_000,
        [simulations, 'tools/tidy/**', 'tools/*/test/**'],
      ),
      project('tidy', ['tools/tidy/src/**/*.test.ts'], 120_000),
      project(
        'contract',
        ['packages/adapters/test/**/*.test.ts', 'tools/servers/test/**/*.test.ts', 'tools/online/test/**/*.test.ts'],
        120_000,
        ['tools/*/test/e2e/**'],
      ),
      project('sim', ['packages/engine/testing/sim/**/*.sim.test.ts', 'tools/{sim,online}/**/*.sim.test.ts'], 120_000),
      project('e2e', ['packages/{cli,lambda}/test/e2e/**/*.test.ts', 'tools/online/test/e2e/**/*.test.ts'], 300_000),
      project('release', ['tools/release/test/**/*.test.ts'], 600_000),
    ],
  },
});
