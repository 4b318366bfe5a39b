/** How fast a run may go and what holds it back, in the same words in progress, logs and views. */
import type { Limiter, ThrottleLimits, ThrottleReport } from '@keyferry/core';
import { countText, durationText } from './numbers.ts';

/** `2,000/s`, `0.5/s` */
export function perSecondText(perSecond: number): string {
  return `${perSecond < 10 ? String(Math.round(perSecond * 10) / 10) : countText(Math.round(perSecond))}/s`;
}

const limiterWords: Readonly<Record<Limiter, string>> = {
  rate: 'rate',
  'target-latency': 'target latency',
  'source-latency': 'source latency',
  nothing: 'nothing',
};

export const limiterText = (limiter: Limiter): string => limiterWords[limiter];

/** The limits that there are: `at most 500/s, p99 of the target within 50 ms`. */
export function limitsText({ ratePerSecond, targetP99Ms, sourceP99Ms }: ThrottleLimits): string {
  const parts = [
    ...(ratePerSecond === null ? [] : [`at most ${perSecondText(ratePerSecond)}`]),
    ...(targetP99Ms === null ? [] : [`p99 of the target within ${durationText(targetP99Ms)}`]),
    ...(sourceP99Ms === null ? [] : [`p99 of the source within ${durationText(sourceP99Ms)}`]),
  ];
  return parts.length === 0 ? 'none' : parts.join(', ');
}

/** `limited by rate 500/s`; nothing where nothing is limited at all. */
export function heldBackBy({ limitedBy, perSecondMax, p99Ms, limits }: ThrottleReport): readonly string[] {
  const most = perSecondMax === null ? '' : ` ${perSecondText(perSecondMax)}`;
  switch (limitedBy) {
    case 'rate':
      return [`limited by rate${most}`];
    case 'target-latency':
      return [`limited by target latency${most}${latencyText(p99Ms.target, limits.targetP99Ms)}`];
    case 'source-latency':
      return [`limited by source latency${most}${latencyText(p99Ms.source, limits.sourceP99Ms)}`];
    case 'nothing':
      return limitsText(limits) === 'none' ? [] : [`limited by nothing${most === '' ? '' : `, at most${most}`}`];
  }
}

function latencyText(p99Ms: number | null, limitMs: number | null): string {
  return p99Ms === null || limitMs === null ? '' : ` (p99 ${durationText(p99Ms)}, limit ${durationText(limitMs)})`;
}
