/** The freeze part by part: as the plan estimated it, and as it was. */
import type { ParallelPlan, ParallelState } from '@keyferry/core';
import type { ParallelStatus } from '@keyferry/engine';
import { columns, indent } from '../layout/columns.ts';
import { durationText } from '../layout/numbers.ts';
import type { ViewContext } from '../view.ts';

export interface FreezePartDone {
  readonly what: string;
  readonly estimatedMs: number;
  readonly basis: 'measured' | 'rehearsed' | 'assumed';
  /** null: not all of its phases are passed. */
  readonly measuredMs: number | null;
}

export function freezeParts(plan: ParallelPlan | null, state: ParallelState | null): readonly FreezePartDone[] {
  const took = new Map(state?.passed.map(({ phase, beganAtMs, atMs }) => [phase, atMs - beganAtMs]));
  return (plan?.freeze.parts ?? []).map(({ what, phases, ms: estimatedMs, basis }) => ({
    what,
    estimatedMs,
    basis,
    measuredMs: phases.every((phase) => took.has(phase))
      ? phases.reduce((sum, phase) => sum + (took.get(phase) ?? 0), 0)
      : null,
  }));
}

/** None before the freeze. */
export function freezeLines({ plan, state, frozenMs, evidence }: ParallelStatus, { palette }: ViewContext): string[] {
  if (plan === null || frozenMs === null) return [];
  const rows = freezeParts(plan, state).map(({ what, estimatedMs, basis, measuredMs }) => [
    durationText(estimatedMs),
    measuredMs === null ? '' : durationText(measuredMs),
    what,
    basis,
  ]);
  const way = evidence.find(({ phase, name }) => phase === 'import' && name === 'way')?.data as
    { readonly way: string; readonly why: string | null } | undefined;
  const again = way?.way === 'again' ? [`  no delta, all was imported again: ${way.why ?? ''}`] : [];
  return [
    '',
    palette.strong('Freeze, as estimated and as measured'),
    ...indent(columns(rows, [{ align: 'right' }, { align: 'right' }, { align: 'left' }, { align: 'left' }])),
    ...again,
  ];
}
