/** Everything that the state knows of a migration, on one page. */
import { instantText, type RunRecord } from '@keyferry/core';
import type { Dossier } from '@keyferry/engine';
import { holderForPeople } from '../../lock-holder.ts';
import { columns } from '../layout/columns.ts';
import { stepLines } from '../layout/commands.ts';
import { keyText } from '../layout/keys.ts';
import { counted, countText, durationText, instantForPeople } from '../layout/numbers.ts';
import { statusFacts, statusJson } from '../status/index.ts';
import { envelope, type View } from '../view.ts';
import { eventJson } from './history.ts';

const shownMax = 20;

export const dossierView: View<Dossier> = {
  human: (dossier, context) => {
    const { status, runs, events, deadLetters, deadLettersTotal } = dossier;
    const { palette } = context;
    const { migration, phase, state, step } = status;
    const wrote = state?.wrote.prefixes.map(keyText).join(', ') ?? '';
    const facts = [
      ...statusFacts(status, context),
      ['wrote under', wrote === '' ? '(all keys)' : wrote],
      ['accepted', state === null || state.accepted.length === 0 ? 'nothing' : state.accepted.join(', ')],
      ['dead letters', countText(deadLettersTotal)],
      ['history', `${counted(events.length, 'event')}: keyferry state history ${migration}`],
    ];
    const rest = deadLettersTotal - Math.min(shownMax, deadLetters.length);
    return [
      `${palette.strong(migration)}   ${phase}`,
      ...columns(
        facts.map(([name, text]) => [`  ${name ?? ''}`, text ?? '']),
        [{ align: 'left' }, { align: 'left' }],
      ),
      ...deadLetters
        .slice(0, shownMax)
        .map(({ targetKey, reason }) => `  ${palette.bad('x')} ${keyText(targetKey)}   ${reason}`),
      ...(deadLetters.length > 0 && rest > 0 ? [`    and ${countText(rest)} more`] : []),
      '',
      palette.strong('Runs'),
      ...runLines(runs),
      '',
      ...stepLines(step.next, step.wayBack, context),
      '',
    ].join('\n');
  },
  json: ({ status, runs, events, deadLetters, deadLettersTotal }, warnings) =>
    envelope('keyferry.state-migration', warnings, {
      ...statusJson({ ...status, events: [] }),
      accepted: status.state?.accepted ?? [],
      wrote: status.state?.wrote ?? null,
      deadLetters: deadLetters.map(({ atMs, ...letter }) => ({ ...letter, at: instantText(atMs) })),
      deadLettersTotal,
      runs: runs.map(runJson),
      events: events.map(eventJson),
    }),
};

export function runLines(runs: readonly RunRecord[]): string[] {
  if (runs.length === 0) return ['  none'];
  const rows = runs.map((run) => [
    `  ${run.run}`,
    run.command,
    instantForPeople(instantText(run.startedAtMs)),
    run.endedAtMs === null ? '' : durationText(run.endedAtMs - run.startedAtMs),
    run.outcome ?? 'no end recorded',
    holderForPeople(run.by),
  ]);
  return columns(rows, [
    { align: 'left' },
    { align: 'left' },
    { align: 'left' },
    { align: 'right' },
    { align: 'left' },
    { align: 'left' },
  ]);
}

/** Without the samples: `report --json` has those. */
export function runJson({
  run,
  command,
  plan,
  attempt,
  by,
  startedAtMs,
  endedAtMs,
  outcome,
  deviations,
  samples,
}: RunRecord) {
  return {
    run,
    command,
    plan,
    attempt,
    by: holderForPeople(by),
    startedAt: instantText(startedAtMs),
    endedAt: endedAtMs === null ? null : instantText(endedAtMs),
    outcome,
    deviations,
    recordsDone: samples.samples.reduce((sum, each) => sum + each.written + each.other, 0),
  };
}
