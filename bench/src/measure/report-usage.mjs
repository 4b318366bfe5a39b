// Loaded into a measured Node process (`--import`): when it exits, it writes what it has used to the file that
// KEYFERRY_BENCH_USAGE names. VmHWM and not ru_maxrss: the latter starts with what the process that forked it had.
// JavaScript, so that the measured process need not load Node's TypeScript stripper.
import { readFileSync, writeFileSync } from 'node:fs';

process.on('exit', () => {
  const { user, system } = process.cpuUsage();
  const peakKiB = Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
  writeFileSync(process.env.KEYFERRY_BENCH_USAGE, JSON.stringify({ cpuSeconds: (user + system) / 1e6, peakKiB }));
});
