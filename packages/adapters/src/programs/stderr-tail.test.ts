/** Goal: of what a program says, enough is kept to help, and no secret and no control character. */
import { describe, expect, it } from 'vitest';
import { Redactor } from '../config/redactor.ts';
import { StderrTail } from './stderr-tail.ts';

function tailOf(pieces: readonly string[], secret = 'hunter2hunter2'): string | null {
  const redactor = new Redactor();
  redactor.add(secret);
  const tail = new StderrTail();
  for (const piece of pieces) tail.add(Buffer.from(piece));
  return tail.text(redactor);
}

describe('the tail of stderr', () => {
  it('is nothing when nothing was said', () => expect([tailOf([]), tailOf(['\n\n'])]).toEqual([null, null]));

  it('is the last lines, however much was said', () => {
    const lines = tailOf(Array.from({ length: 100_000 }, (_, i) => `line ${i}\n`))?.split('\n');
    expect([lines?.length, lines?.at(-1)]).toEqual([10, 'line 99999']);
  });

  it('holds no secret, not even one that came in two pieces', () =>
    expect(tailOf(['login with hunter2', 'hunter2 failed\n'])).toBe('login with [redacted] failed'));

  it('cannot move a cursor, and is no longer than a line is wide', () => {
    expect(tailOf(['\u001b[2Jgone'])).toBe(String.raw`\u001b[2Jgone`);
    expect(tailOf(['x'.repeat(5000)])?.length).toBe(301);
  });
});
