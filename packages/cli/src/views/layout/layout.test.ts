/** Goal: numbers, columns and commands read the same everywhere. Method: tables of edges. */
import { describe, expect, it } from 'vitest';
import { columns } from './columns.ts';
import { pasteable } from './commands.ts';
import { keyText } from './keys.ts';
import { bytesText, counted, dollarsText, durationText, instantForPeople, listText, rateText } from './numbers.ts';

describe('numbers', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1 KiB'],
    [1024 * 1.5, '1.5 KiB'],
    [212 * 1024, '212 KiB'],
    [1024 * 1024 - 1, '1 MiB'],
    [39_216_742, '37.4 MiB'],
    [5 * 1024 ** 4, '5 TiB'],
  ])('%i bytes are %s', (bytes, want) => expect(bytesText(bytes)).toBe(want));

  it.each([
    [0, '0 ms'],
    [999, '999 ms'],
    [8100, '8.1 s'],
    [38_000, '38 s'],
    [59_990, '1 min'],
    [80_000, '1 min 20 s'],
    [300_000, '5 min'],
    [7_500_000, '2 h 5 min'],
    [10 * 86_400_000, '10 days'],
  ])('%i ms are %s', (ms, want) => expect(durationText(ms)).toBe(want));

  it.each([
    [0, '$0.0000'],
    [0.000_099, 'under $0.0001'],
    [0.0001, '$0.0001'],
    [0.9999, '$0.9999'],
    [1, '$1.00'],
    [1234.567, '$1,234.57'],
  ])('%d dollars are %s', (dollars, want) => expect(dollarsText(dollars)).toBe(want));

  it('groups counts and names one', () => {
    expect([counted(1, 'key'), counted(0, 'key'), counted(12_310, 'key')]).toEqual(['1 key', '0 keys', '12,310 keys']);
    expect([rateText(0.5), rateText(1501.4)]).toEqual(['0.5 keys/s', '1,501 keys/s']);
  });

  it('lists and dates', () => {
    expect([listText([]), listText(['a']), listText(['a', 'b']), listText(['a', 'b', 'c'])]).toEqual([
      '',
      'a',
      'a and b',
      'a, b and c',
    ]);
    expect(instantForPeople('2026-11-22T06:30:59.123Z')).toBe('2026-11-22 06:30 UTC');
  });
});

describe('columns', () => {
  it('align by what a terminal shows, whatever the bytes', () => {
    const rows = [
      ['日本', '1'],
      ['\u001b[31mred\u001b[39m', '22'],
    ];
    expect(columns(rows, [{ align: 'left' }, { align: 'right', gap: 3 }])).toEqual([
      '日本    1',
      '\u001b[31mred\u001b[39m    22',
    ]);
  });
  it('leave no space at the end of a line', () => {
    expect(
      columns(
        [
          ['a', ''],
          ['b', 'c'],
        ],
        [{ align: 'left' }, { align: 'left' }],
      ),
    ).toEqual(['a', 'b  c']);
  });
});

describe('keys', () => {
  it('cannot forge output', () => expect(keyText({ text: 'a\u001b[2Jb' })).toBe('a\\u001b[2Jb'));
});

describe('commands to paste', () => {
  it.each([
    [null, 'keyferry status m'],
    ['staging/keyferry.yaml', 'keyferry status m -c staging/keyferry.yaml'],
    ["it's.yaml", "keyferry status m -c 'it'\\''s.yaml'"],
  ])('with configuration %s', (configFlag, want) => expect(pasteable('keyferry status m', { configFlag })).toBe(want));
});
