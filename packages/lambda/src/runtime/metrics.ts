/**
 * Metrics in CloudWatch's embedded metric format: one log line that CloudWatch makes metrics of, by migration and function.
 * No request, no client, nothing to wait for.
 */
import type { FunctionHost } from './function-host.ts';

export type MetricUnit = 'Count' | 'Milliseconds' | 'Seconds' | 'Percent' | 'Count/Second';

export interface Metric {
  readonly value: number;
  readonly unit: MetricUnit;
}

export const metricNamespace = 'Keyferry';

/** @param metrics by their names; none is no line */
export function writeMetrics(
  host: Pick<FunctionHost, 'line'>,
  dimensions: { readonly Migration: string; readonly Function: string },
  metrics: Readonly<Record<string, Metric>>,
): void {
  const entries = Object.entries(metrics);
  if (entries.length === 0) return;
  host.line({
    _aws: {
      Timestamp: Date.now(),
      CloudWatchMetrics: [
        {
          Namespace: metricNamespace,
          Dimensions: [['Migration'], ['Migration', 'Function']],
          Metrics: entries.map(([Name, { unit: Unit }]) => ({ Name, Unit })),
        },
      ],
    },
    ...dimensions,
    ...Object.fromEntries(entries.map(([name, { value }]) => [name, value])),
  });
}

export const count = (value: number): Metric => ({ value, unit: 'Count' });
export const milliseconds = (value: number): Metric => ({ value: Math.round(value), unit: 'Milliseconds' });
