/**
 * The long form of the live proof, with the built program:
 *
 *     npm run soak                        ten ways there and back, in fair and in foul weather
 *     npm run soak -- --rounds 100 --seed tuesday
 *
 * Ends with the tally; exit code 1 if anything is not as it must be. In CI a short form runs (test/e2e/proof.test.ts). A network
 * namespace needs root; without it, processes are stopped where they would be cut off.
 */
import { parseArgs } from 'node:util';
import { islandOrNone } from './island.ts';
import { runProof } from './proof.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    keys: { type: 'string', default: '3000' },
    between: { type: 'string', default: '5000' },
    cut: { type: 'string', default: '0.002' },
  },
});
const say = (line: string): void => void process.stdout.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
const { island, note } = islandOrNone();
if (island === null) say(`${note}; processes are stopped instead`);
const proof = await runProof({
  seed: values.seed,
  rounds: Number(values.rounds),
  betweenMs: Number(values.between),
  keysAtRest: Number(values.keys),
  island,
  weather: { cut: Number(values.cut), hold: 0.01, holdMaxMs: 200 },
  say,
});
for (const [what, count] of [...proof.seen].toSorted(([a], [b]) => (a < b ? -1 : 1))) say(`${what}: ${count}`);
say(`connections broken: ${proof.cuts}`);
say(`longest wait for a write: ${Math.round(proof.writePauseMaxMs)} ms`);
say(`left of keyferry's own: ${proof.controlLeft.join(', ')}`);
const wrong = [...proof.violations, ...proof.restWrong.map((key) => `${key}, which nobody touched, is another one`)];
for (const violation of wrong) say(`VIOLATION ${violation}`);
say(wrong.length === 0 ? 'nothing was lost and nothing came back' : `${wrong.length} violations`);
process.exitCode = wrong.length === 0 ? 0 : 1;
