/** Which worker was on which chunk, and when: a lane for each worker. */
import type { ChunkSpan } from '@keyferry/core';
import { counted, durationText } from '../../layout/numbers.ts';
import { markup, type Markup } from '../markup.ts';
import { frame, svg, timeAxis, xOf } from './axis.ts';

const laneHeight = 26;
const lanesMax = 24;

export function lanesChart(chunks: readonly ChunkSpan[], endMs: number, summary: string): Markup {
  const workers = [...new Set(chunks.map(({ worker }) => worker))].toSorted((a, b) => a - b);
  const shown = workers.slice(0, lanesMax);
  const height = frame.top + shown.length * laneHeight + frame.bottom;
  return svg({ title: 'Chunks by worker over time', summary }, height, [
    ...shown.map((worker, lane) => {
      const y = frame.top + lane * laneHeight;
      const own = chunks.filter((span) => span.worker === worker);
      return markup`<text class="tick" text-anchor="end" x="${frame.left - 8}" y="${y + 16}">w${worker}</text><line
          class="grid"
          x1="${frame.left}"
          x2="${frame.width - frame.right}"
          y1="${y + laneHeight - 3}"
          y2="${y + laneHeight - 3}"
        />${own.map((span) => spanRect(span, y, endMs))}`;
    }),
    ...timeAxis(endMs, height, durationText),
  ]);
}

function spanRect({ chunk, chunks, fromMs, toMs }: ChunkSpan, y: number, endMs: number): Markup {
  const x = xOf(fromMs, endMs);
  const width = Math.max(2, xOf(toMs, endMs) - x - 1);
  const what = chunks === 1 ? chunk : `${counted(chunks, 'chunk')} from ${chunk}`;
  const label = width > 8 * what.length ? markup`<text class="on-bar" x="${x + 6}" y="${y + 16}">${what}</text>` : '';
  return markup`<g>
    <rect class="bar a" x="${x}" y="${y + 2}" width="${width}" height="${laneHeight - 8}" rx="2" />
    ${label}
    <title>${what}, ${durationText(toMs - fromMs)}</title>
  </g>`;
}
