/** Both digests, bucket by bucket: two bars of records each, and whether their sums agree. */
import { digestsEqual, emptyDigest, type VerifyRecord } from '@keyferry/core';
import { countText } from '../../layout/numbers.ts';
import { markup, type Markup } from '../markup.ts';
import { frame, round, scaleTo, svg, yAxis, yOf } from './axis.ts';

const { height } = frame;

export function bucketsChart({ sourceBuckets, targetBuckets }: VerifyRecord, summary: string): Markup {
  const scale = scaleTo(Math.max(0, ...[...sourceBuckets, ...targetBuckets].map(({ count }) => count)));
  const step = (frame.width - frame.left - frame.right) / Math.max(1, sourceBuckets.length);
  const ground = yOf(0, scale);
  return svg({ title: 'Digests by bucket', summary }, height, [
    ...yAxis(scale, countText),
    ...sourceBuckets.map((source, i) => {
      const target = targetBuckets[i] ?? emptyDigest;
      const agree = digestsEqual(source, target);
      const x = frame.left + i * step;
      const width = round(step * 0.36);
      const [top, topTarget] = [yOf(source.count, scale), yOf(target.count, scale)];
      return markup`<g>
        <rect class="bar a" x="${round(x + step * 0.1)}" y="${top}" width="${width}" height="${round(ground - top)}" />
        <rect
          class="bar ${agree ? 'b' : 'bad'}"
          x="${round(x + step * 0.52)}"
          y="${topTarget}"
          width="${width}"
          height="${round(ground - topTarget)}"
        />
        <text class="${agree ? 'tick' : 'tick bad'}" text-anchor="middle" x="${round(x + step / 2)}" y="${height - 8}">
          ${agree ? i.toString(16) : `${i.toString(16)} ≠`}
        </text>
        <title>
          bucket ${i.toString(16)}: ${countText(source.count)} and ${countText(target.count)} records, sums
          ${agree ? 'agree' : 'differ'}
        </title>
      </g>`;
    }),
  ]);
}
