/**
 * Starts the simulator's tests:
 *
 *     npm run test:sim                      the usual seeds
 *     npm run test:sim -- --seed 42         one seed, with its trace
 *     npm run test:sim -- --seeds 50000     many
 *     npm run test:sim -- --from 50001 --seeds 50000 tools/online    of online migrations, going on where one stopped
 *
 * Both travel as environment variables, because vitest takes no options of ours; every other argument is vitest's.
 */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const ours = { seed: 'KEYFERRY_SIM_SEED', seeds: 'KEYFERRY_SIM_SEEDS', from: 'KEYFERRY_SIM_FROM' } as const;
const isOurs = (name: string): name is keyof typeof ours => Object.hasOwn(ours, name);

const { tokens } = parseArgs({
  options: { seed: { type: 'string' }, seeds: { type: 'string' }, from: { type: 'string' } },
  allowPositionals: true,
  strict: false,
  tokens: true,
});
const env = { ...process.env };
const taken = new Set<number>();
for (const token of tokens) {
  if (token.kind !== 'option' || !isOurs(token.name)) continue;
  env[ours[token.name]] = token.value;
  taken.add(token.index);
  if (token.inlineValue !== true) taken.add(token.index + 1);
}
const rest = process.argv.slice(2).filter((_, index) => !taken.has(index));

const run = spawnSync('vitest', ['run', '--project', 'sim', ...rest], { stdio: 'inherit', env });
process.exitCode = run.status ?? 1;
