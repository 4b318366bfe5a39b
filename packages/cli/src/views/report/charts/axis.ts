/** What all charts share: their size, scales with round ticks, the frame with its labels. */
import { markup, type Markup } from '../markup.ts';

export const frame = { width: 480, height: 190, left: 58, right: 10, top: 12, bottom: 26 } as const;

export interface Scale {
  readonly max: number;
  readonly ticks: readonly number[];
}

/** Round steps of 1, 2 or 5 times a power of ten: at most `count` of them. */
export function scaleTo(max: number, count = 4): Scale {
  if (max <= 0) return { max: 1, ticks: [0, 1] };
  const rough = max / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((each) => each * power >= rough) ?? 10) * power;
  const ticks: number[] = [];
  for (let i = 0; i * step < max + step; i += 1) ticks.push(Number((i * step).toPrecision(12)));
  return { max: ticks.at(-1) ?? max, ticks };
}

export function xOf(ms: number, endMs: number): number {
  const { left, width, right } = frame;
  return round(left + (ms / Math.max(1, endMs)) * (width - left - right));
}

export function yOf(value: number, { max }: Scale, height: number = frame.height): number {
  const { top, bottom } = frame;
  return round(height - bottom - (value / max) * (height - top - bottom));
}

export const round = (value: number): number => Math.round(value * 10) / 10;

export interface ChartText {
  readonly title: string;
  /** Says in words what is drawn, for those who do not see it. */
  readonly summary: string;
}

export function svg(text: ChartText, height: number, body: readonly Markup[]): Markup {
  return markup`<svg viewBox="0 0 ${frame.width} ${height}" role="img" aria-label="${text.title}: ${text.summary}">
    <title>${text.title}: ${text.summary}</title>
    ${body}
  </svg>`;
}

export function yAxis(scale: Scale, label: (value: number) => string): Markup[] {
  return scale.ticks.map((tick) => {
    const y = yOf(tick, scale);
    return markup`<line class="grid" x1="${frame.left}" x2="${frame.width - frame.right}" y1="${y}" y2="${y}" /><text
        class="tick"
        text-anchor="end"
        x="${frame.left - 8}"
        y="${y + 4}"
      >
        ${label(tick)}
      </text>`;
  });
}

/** Time since the run began. */
export function timeAxis(endMs: number, height: number, label: (ms: number) => string): Markup[] {
  const { ticks } = scaleTo(endMs, 7);
  return ticks
    .filter((tick) => tick <= endMs)
    .map((tick) => {
      const x = xOf(tick, endMs);
      const anchor = tick === 0 ? 'start' : x > frame.width - 40 ? 'end' : 'middle';
      return markup`<text class="tick" text-anchor="${anchor}" x="${x}" y="${height - 8}">${tick === 0 ? '0' : label(tick)}</text>`;
    });
}
