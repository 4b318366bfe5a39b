/**
 * Columns without borders, so that the output greps well. Widths are those that a terminal shows (visible-width.ts).
 */
import { visibleWidth } from './visible-width.ts';

export interface Column {
  readonly align: 'left' | 'right';
  /** Least width, the gap included. */
  readonly min?: number;
  /** Spaces before the column; 2 when it is not given. */
  readonly gap?: number;
}

export function columns(rows: readonly (readonly string[])[], spec: readonly Column[]): string[] {
  const widths = spec.map(({ min = 0, gap = 2 }, i) => {
    const longest = Math.max(0, ...rows.map((row) => visibleWidth(row[i] ?? '')));
    return Math.max(min, longest + (i === 0 ? 0 : gap));
  });
  return rows.map((row) =>
    spec
      .map(({ align, gap = 2 }, i) => pad(row[i] ?? '', widths[i] ?? 0, align, i === 0 ? 0 : gap))
      .join('')
      .trimEnd(),
  );
}

function pad(text: string, width: number, align: Column['align'], gap: number): string {
  if (align === 'right') return ' '.repeat(Math.max(0, width - visibleWidth(text))) + text;
  return ' '.repeat(gap) + text + ' '.repeat(Math.max(0, width - gap - visibleWidth(text)));
}

export function indent(lines: readonly string[], spaces = 2): string[] {
  return lines.map((line) => (line === '' ? '' : ' '.repeat(spaces) + line));
}
