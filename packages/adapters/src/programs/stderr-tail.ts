/** The last of what a program says on stderr: bounded, secrets taken out, and without what could move a cursor. */
import { escapeControls } from '@keyferry/core';
import type { Redactor } from '../config/redactor.ts';

const tailBytesMax = 4096;
const linesShown = 10;
const lineCharactersMax = 300;

export class StderrTail {
  private tail = Buffer.alloc(0);

  add(piece: Buffer): void {
    const whole = Buffer.concat([this.tail, piece.subarray(-tailBytesMax)]);
    this.tail = whole.subarray(-tailBytesMax);
  }

  /** Null: it said nothing. */
  text(redactor: Redactor): string | null {
    // Secrets first: of one that is cut in two at the end of a line, half would stay.
    const lines = redactor.redact(this.tail.toString('utf8')).split('\n');
    const shown = lines
      .map((line) => line.trimEnd())
      .filter((line) => line !== '')
      .slice(-linesShown)
      .map((line) => escapeControls(line.length > lineCharactersMax ? `${line.slice(0, lineCharactersMax)}…` : line));
    return shown.length === 0 ? null : shown.join('\n');
  }
}
