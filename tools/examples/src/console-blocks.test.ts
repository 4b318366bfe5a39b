/** Goal: a README whose output is no longer true fails. Method: both sides of each rule of the notation. */
import { describe, expect, it } from 'vitest';
import { firstMismatch, parseConsoleBlocks } from './console-blocks.ts';

const readme = ['# Title', '```yaml', '$ not a command', '```', '```console', '$ keyferry plan a', 'Plan pln_…', '…']
  .concat(['Saved', '(exit 4)', '$ keyferry show', '```', 'after'])
  .join('\n');

describe('parseConsoleBlocks', () => {
  it('reads commands, their lines, output and exit codes from console blocks alone', () => {
    expect(parseConsoleBlocks(readme)).toEqual([
      { command: 'keyferry plan a', line: 6, expected: ['Plan pln_…', '…', 'Saved'], exitCode: 4 },
      { command: 'keyferry show', line: 11, expected: [], exitCode: 0 },
    ]);
  });
});

describe('firstMismatch', () => {
  const output = 'scanning\nPlan pln_1 (a.b)\n\n  one  1\n  two  2\nSaved\n';
  it.each([
    { name: 'the lines themselves', expected: ['Plan pln_1 (a.b)', '  one  1', '  two  2', 'Saved'] },
    { name: 'a part of a line left out', expected: ['Plan … (a.b)', '  one  …'] },
    { name: 'lines left out', expected: ['Plan …', '…', 'Saved'] },
    { name: 'nothing', expected: [] },
  ])('accepts $name', ({ expected }) => {
    expect(firstMismatch(expected, output)).toBeNull();
  });

  it.each([
    { name: 'a line that is not there', expected: ['Plan …', '…', 'Lost'], want: 'Lost' },
    { name: 'a line that was left out without a mark', expected: ['Plan …', '  two  2'], want: '  two  2' },
    { name: 'another order', expected: ['  two  2', '…', '  one  1'], want: '  one  1' },
    { name: 'a dot that must be a dot', expected: ['Plan pln_1 (axb)'], want: 'Plan pln_1 (axb)' },
  ])('refuses $name', ({ expected, want }) => {
    expect(firstMismatch(expected, output)).toBe(want);
  });
});
