import { runSeed, describeFailure } from './run-seed.ts';
const [from, to, rule] = [Number(process.argv[2] ?? 1), Number(process.argv[3] ?? 20), process.argv[4]];
const seen = new Map<string, number>();
const props = new Map<string, number[]>();
let events = 0;
const t0 = Date.now();
let shown = 0;
let slow = 0,
  slowSeed = 0;
for (let s = from; s <= to; s++) {
  const t = Date.now();
  const r = await runSeed(s, { rules: rule && rule !== 'trace' ? { [rule]: false } : {}, keepTrace: rule === 'trace' });
  if (Date.now() - t > slow) {
    slow = Date.now() - t;
    slowSeed = s;
  }
  events += r.events;
  for (const [k, v] of r.seen) seen.set(k, (seen.get(k) ?? 0) + v);
  for (const p of new Set(r.violations.map((v) => v.property))) props.set(p, [...(props.get(p) ?? []), s]);
  if (r.violations.length && shown < 12) {
    shown++;
    console.log(describeFailure(r));
  }
  if (rule === 'trace') console.log(r.trace.join('\n'));
}
const sec = (Date.now() - t0) / 1000;
console.log({ seeds: to - from + 1, sec, perSec: (to - from + 1) / sec, events, slow, slowSeed });
console.log(Object.fromEntries([...seen].sort()));
console.log(Object.fromEntries([...props].map(([k, v]) => [k, v.length + ': ' + v.slice(0, 12).join(',')])));
