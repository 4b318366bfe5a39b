/**
 * Starts the simulator's tests: `npm run test:sim`, or `npm run test:sim -- --seed 42` to replay one seed.
 * The seed travels as KEYFERRY_SIM_SEED, because vitest takes no options of ours; every other argument is vitest's.
 */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const { values, tokens } = parseArgs({
  options: { seed: { type: 'string' } },
  allowPositionals: true,
  strict: false,
  tokens: true,
});
const seed = typeof values.seed === 'string' ? values.seed : undefined;
const seedAt = new Set(
  tokens.flatMap((token) =>
    token.kind === 'option' && token.name === 'seed' ? [token.index, token.inlineValue ? -1 : token.index + 1] : [],
  ),
);
const rest = process.argv.slice(2).filter((_, index) => !seedAt.has(index));

const run = spawnSync('vitest', ['run', '--project', 'sim', '--passWithNoTests', ...rest], {
  stdio: 'inherit',
  env: seed === undefined ? process.env : { ...process.env, KEYFERRY_SIM_SEED: seed },
});
process.exitCode = run.status ?? 1;
