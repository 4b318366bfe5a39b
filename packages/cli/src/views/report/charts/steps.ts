/** Charts over time: each sample is a step as long as it lasted, so that nothing is drawn between that was not measured. */
import { countText, durationText } from '../../layout/numbers.ts';
import type { Course, Step } from '../course.ts';
import { markup, type Markup } from '../markup.ts';
import { frame, round, scaleTo, svg, timeAxis, xOf, yAxis, yOf, type Scale } from './axis.ts';

const { height } = frame;

export function throughputChart({ steps, endMs }: Course, summary: string): Markup {
  const scale = scaleTo(Math.max(...steps.map(({ perSecond }) => perSecond), 0));
  const ground = yOf(0, scale);
  const points = steps.flatMap(({ fromMs, toMs, perSecond }) => {
    const y = yOf(perSecond, scale);
    return [`${xOf(fromMs, endMs)},${y}`, `${xOf(toMs, endMs)},${y}`];
  });
  const area = [`${xOf(0, endMs)},${ground}`, ...points, `${xOf(endMs, endMs)},${ground}`].join(' ');
  const failed = steps.filter(({ failures }) => failures > 0);
  return svg({ title: 'Throughput over time', summary }, height, [
    ...yAxis(scale, (value) => countText(Math.round(value))),
    markup`<polygon class="area a" points="${area}" /><polyline class="line a" points="${points.join(' ')}" />`,
    ...failed.map((step) => failureMark(step, endMs)),
    ...timeAxis(endMs, height, durationText),
  ]);
}

function failureMark({ fromMs, toMs, failures }: Step, endMs: number): Markup {
  const x = round((xOf(fromMs, endMs) + xOf(toMs, endMs)) / 2);
  const at = durationText(fromMs);
  return markup`<g class="failure">
    <path d="M${x} ${frame.top + 2}l5 9h-10z" />
    <title>${countText(failures)} failed at ${at}</title>
  </g>`;
}

export function latencyChart({ steps, endMs }: Course, summary: string): Markup {
  const scale = scaleTo(Math.max(...steps.map(({ p99Ms }) => p99Ms ?? 0), 0));
  return svg({ title: 'Write latency over time', summary }, height, [
    ...yAxis(scale, (value) => (value === 0 ? '0' : durationText(value))),
    ...stretches(steps, ({ p99Ms }) => p99Ms, scale, endMs).map(
      (points) => markup`<polyline class="line b" points="${points}" />`,
    ),
    ...stretches(steps, ({ p50Ms }) => p50Ms, scale, endMs).map(
      (points) => markup`<polyline class="line a" points="${points}" />`,
    ),
    ...timeAxis(endMs, height, durationText),
  ]);
}

/** One line for each stretch in which something was written. */
function stretches(
  steps: readonly Step[],
  valueOf: (step: Step) => number | null,
  scale: Scale,
  endMs: number,
): readonly string[] {
  const lines: string[][] = [];
  let open: string[] | null = null;
  for (const step of steps) {
    const value = valueOf(step);
    if (value === null) {
      open = null;
      continue;
    }
    if (open === null) lines.push((open = []));
    const y = yOf(value, scale);
    open.push(`${xOf(step.fromMs, endMs)},${y}`, `${xOf(step.toMs, endMs)},${y}`);
  }
  return lines.map((points) => points.join(' '));
}
