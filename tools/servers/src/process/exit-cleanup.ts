/**
 * Runs cleanups when this process ends in any way it can notice: normally, by process.exit, or by a signal.
 *
 * Cleanups are synchronous because an `exit` handler cannot wait. A signal is left alone when somebody else listens to
 * it too (a test runner, our own command line): they decide how to end, and the `exit` handler still runs after them.
 */
const cleanups = new Set<() => void>();
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
let installed = false;

/** @returns a function that withdraws the cleanup, without running it. */
export function onProcessEnd(cleanup: () => void): () => void {
  if (!installed) {
    installed = true;
    process.on('exit', runAll);
    for (const signal of signals) process.on(signal, onSignal);
  }
  cleanups.add(cleanup);
  return () => void cleanups.delete(cleanup);
}

function onSignal(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return;
  runAll();
  // With our listener gone the signal has its default effect, and our parent sees the true cause of the end.
  process.removeListener(signal, onSignal);
  process.kill(process.pid, signal);
}

function runAll(): void {
  for (const cleanup of cleanups) {
    try {
      cleanup();
    } catch (error) {
      // One failing cleanup must not keep the servers of the others alive.
      process.stderr.write(`Cleaning up a server failed: ${String(error)}\n`);
    }
  }
  cleanups.clear();
}
