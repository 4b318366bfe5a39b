/** Runs one seed from beginning to end and says what it broke. The same seed always gives the same result. */
import { Stuck } from './kernel.ts';
import { play } from './scenario.ts';
import type { Violation } from './violation.ts';
import { World, type WorldOptions } from './world.ts';

export interface SeedResult {
  readonly seed: number;
  readonly violations: readonly Violation[];
  readonly traceHash: string;
  readonly events: number;
  readonly virtualMs: number;
  readonly seen: ReadonlyMap<string, number>;
  /** Empty unless it was asked for. */
  readonly trace: readonly string[];
}

export async function runSeed(seed: number, options: Partial<Omit<WorldOptions, 'seed'>> = {}): Promise<SeedResult> {
  const { rules = {}, keepTrace = false, losesImages = false } = options;
  const world = new World({ seed, rules, keepTrace, losesImages });
  const { kernel } = world;
  const bornMs = kernel.nowMs;
  try {
    await kernel.run(() => play(world));
  } catch (error) {
    if (!(error instanceof Stuck)) throw error;
    world.violate({ property: 'stuck', detail: error.message });
  }
  return {
    seed,
    violations: world.violations,
    traceHash: kernel.traceHash(),
    events: kernel.eventCount,
    virtualMs: kernel.nowMs - bornMs,
    seen: world.seen,
    trace: kernel.lines,
  };
}

/** A violation and the command that shows it again. */
export function describeFailure({ seed, violations }: SeedResult): string {
  const lines = violations.slice(0, 5).map(({ property, detail }) => `  ${property}: ${detail}`);
  return [`seed ${seed} broke ${violations.length} properties:`, ...lines, `  npm run test:sim -- --seed ${seed}`].join(
    '\n',
  );
}
