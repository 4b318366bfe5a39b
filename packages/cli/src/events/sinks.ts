/** Where event lines go: a file, or standard output. Written synchronously, so that a crash loses no finished line. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { usageError } from '../usage-error.ts';
import type { EventSink } from './event-stream.ts';

/**
 * @param mode `w` for an event stream, which tells one run; `a` for a log, which keeps all of them
 * @throws {KeyferryError} `usage.invalid` when the file cannot be opened
 */
export function fileSink(file: string, flag: string, mode: 'w' | 'a'): EventSink {
  const fd = open(file, flag, mode);
  return { write: (line) => void writeSync(fd, line), close: () => closeSync(fd) };
}

interface WatchedStream {
  write(text: string): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/** A stream tells of a failed write later, by an event; the next line then fails as one to a file does. */
export function streamSink(stream: WatchedStream): EventSink {
  let failed: Error | null = null;
  stream.on('error', (error) => {
    failed ??= error;
  });
  return {
    write: (line) => {
      if (failed !== null) throw failed;
      stream.write(line);
    },
    close: () => undefined,
  };
}

function open(file: string, flag: string, mode: 'w' | 'a'): number {
  try {
    return openSync(file, mode);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw usageError(`--${flag} ${file} cannot be written: ${why}`, 'name a file in a folder that exists and is yours');
  }
}
