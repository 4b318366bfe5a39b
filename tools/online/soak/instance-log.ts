/**
 * What one instance of the application writes down while it works: a line before it asks and a line when it was told, so that
 * a kill leaves what was under way. Instants are of the machine's monotonic clock, which all its processes share.
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { Asked, HistoryId, Said } from '../sim/tally.ts';

export type InstanceLine =
  | { readonly at: number; readonly kind: 'asked'; readonly key: string; readonly op: HistoryId; readonly what: Asked }
  /** `endsAtMs`: it was written with a TTL, and may be gone from then on. */
  | { readonly at: number; readonly kind: 'ttl'; readonly op: HistoryId; readonly endsAtMs: number }
  | { readonly at: number; readonly kind: 'told'; readonly key: string; readonly op: HistoryId; readonly said: Said }
  /** Nothing was told and nothing was written. */
  | {
      readonly at: number;
      readonly kind: 'withdrawn';
      readonly key: string;
      readonly op: HistoryId;
      readonly why: string;
    }
  /** It may have happened, or still happen within one request life. */
  | { readonly at: number; readonly kind: 'unknown'; readonly key: string; readonly op: HistoryId }
  | { readonly at: number; readonly kind: 'watch'; readonly open: boolean }
  /** By a watch: the write of a value, or the end of a record (0). */
  | { readonly at: number; readonly kind: 'shown'; readonly key: string; readonly op: HistoryId }
  | { readonly at: number; readonly kind: 'mode'; readonly mode: string };

type WithoutInstant<T> = T extends unknown ? Omit<T, 'at'> : never;

export const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;

export class InstanceLog {
  private readonly file: number;

  constructor(path: string) {
    this.file = openSync(path, 'a');
  }

  /** @returns the instant that was written */
  write(line: WithoutInstant<InstanceLine>): number {
    const at = nowMs();
    writeSync(this.file, `${JSON.stringify({ at, ...line })}\n`);
    return at;
  }

  close(): void {
    closeSync(this.file);
  }
}

/** A line that a kill cut off is left out. */
export function readInstanceLog(path: string): readonly InstanceLine[] {
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as InstanceLine);
}
