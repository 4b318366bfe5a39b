/**
 * Goal: SPEC.md stays true: each rule has a test, each test that it names exists, and both tables say the same.
 * Method: the tables are read as text and held against the test files.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const root = new URL('../../../', import.meta.url);
const spec = readFileSync(new URL('packages/core/SPEC.md', root), 'utf8');

interface Link {
  readonly rule: string;
  readonly file: string;
  readonly names: readonly string[];
}

const links: readonly Link[] = [...spec.matchAll(/^\| ([RI]\d+) +\| `([^`]+)` (.+) \|$/gm)].map((row) => ({
  rule: row[1] ?? '',
  file: row[2] ?? '',
  names: [...(row[3] ?? '').matchAll(/"([^"]+)"/g)].map((name) => name[1] ?? ''),
}));
const stated = [...spec.matchAll(/^- \*\*([RI]\d+)[ *]/gm)].map((match) => match[1] ?? '');

describe('SPEC.md', () => {
  it('states rules and invariants, each number once, in order', () => {
    const numbers = (letter: string) =>
      stated.filter((rule) => rule.startsWith(letter)).map((rule) => Number(rule.slice(1)));
    // A number that was given stays with its rule, so there may be gaps.
    for (const letter of ['R', 'I']) {
      expect(numbers(letter)).toEqual([...new Set(numbers(letter))].toSorted((a, b) => a - b));
    }
    expect(stated.length).toBeGreaterThan(10);
  });

  it('names a test for each of them', () => {
    const tested = new Set(links.map(({ rule }) => rule));
    expect(stated.filter((rule) => !tested.has(rule))).toEqual([]);
    expect([...tested].filter((rule) => !stated.includes(rule))).toEqual([]);
  });

  it('names only tests that are there', () => {
    const gone = links.flatMap(({ file, names }) => {
      const text = readFileSync(new URL(file, root), 'utf8');
      return names.filter((name) => !text.includes(name)).map((name) => `${file}: ${name}`);
    });
    expect(gone).toEqual([]);
    expect(links.filter(({ names }) => names.length === 0)).toEqual([]);
  });

  it('says the same in both directions', () => {
    const back = [...spec.matchAll(/^\| `([^`]+)` +\| ([RI\d ]+) \|$/gm)].flatMap((row) =>
      (row[2] ?? '')
        .trim()
        .split(' ')
        .map((rule) => `${rule} ${row[1] ?? ''}`),
    );
    expect(back.toSorted()).toEqual([...new Set(links.map(({ rule, file }) => `${rule} ${file}`))].toSorted());
  });

  it('keeps each table to its own rows, that of the rules in their order', () => {
    const [, rest = ''] = spec.split('\n## Rule → test\n');
    const [byRule = '', byTest = ''] = rest.split('\n## Test → rule\n');
    const rules = [...byRule.matchAll(/^\| ([RI])(\d+) /gm)].map(([, letter, number]) => ({
      letter,
      number: Number(number),
    }));
    expect(rules).toHaveLength(links.length);
    expect(rules).toEqual(
      rules.toSorted((a, b) => (a.letter === b.letter ? a.number - b.number : a.letter === 'R' ? -1 : 1)),
    );
    expect(byRule).not.toMatch(/^\| `/m);
    expect(byTest).not.toMatch(/^\| [RI]\d/m);
  });
});
