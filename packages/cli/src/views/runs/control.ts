/** What was asked of an attempt from outside of its run, and the answer to whoever asks for it. */
import { instantText, standingOf, type ControlNote, type RunControl } from '@keyferry/core';
import type { ControlChange, ControlRequest } from '@keyferry/engine';
import { holderForPeople } from '../../lock-holder.ts';
import { stepLines } from '../layout/commands.ts';
import { limitsText } from '../layout/limits.ts';
import { durationText, instantForPeople } from '../layout/numbers.ts';
import { envelope, type View, type ViewContext } from '../view.ts';

export interface ControlledRun extends ControlChange {
  readonly request: ControlRequest;
  /** Who works on it now; null: nobody. */
  readonly holder: string | null;
  /** How long the run may not notice it. */
  readonly noticedWithinMs: number;
}

export const controlView: View<ControlledRun> = {
  human: controlHuman,
  json: ({ migration, state, control, changed, holder, step }, warnings) =>
    envelope('keyferry.run-control', warnings, {
      migration,
      run: state.run,
      attempt: state.attempt,
      changed,
      holder: holder === null ? null : holderForPeople(holder),
      control: controlJson(control),
      next: step.next,
      wayBack: step.wayBack,
    }),
};

function controlHuman(result: ControlledRun, context: ViewContext): string {
  const { migration, state, step } = result;
  return [
    `${context.palette.strong(headline(result))}   ${migration}, attempt ${state.attempt}`,
    `  ${effectText(result)}`,
    ...stepLines(step.next, step.wayBack, context),
    '',
  ].join('\n');
}

function headline({ request, changed }: ControlledRun): string {
  switch (request.kind) {
    case 'pause':
      return changed ? 'Paused' : 'Paused already';
    case 'resume':
      return changed ? 'Resumed' : 'Not paused';
    case 'cancel':
      return changed ? 'Cancelled' : 'Cancelled already';
    case 'throttle':
      return request.override === null ? 'Throttled as configured' : 'Throttled';
  }
}

function effectText({ request, control, holder, noticedWithinMs }: ControlledRun): string {
  const who = holder === null ? null : holderForPeople(holder);
  const soon = `within about ${durationText(noticedWithinMs)}`;
  switch (request.kind) {
    case 'pause':
      return who === null
        ? 'no run works on it now, and none will until it is resumed'
        : `the run of ${who} notices ${soon}, finishes what is in flight, checkpoints and exits with code 6`;
    case 'resume':
      return who === null ? 'no run works on it now: the next apply goes on' : `the run of ${who} works on it`;
    case 'cancel':
      return who === null
        ? 'no run works on it now; this attempt never goes on'
        : `the run of ${who} notices ${soon}, finishes what is in flight, checkpoints and ends; this attempt never goes on`;
    case 'throttle': {
      const limits = control.throttle === null ? null : limitsText({ ...control.throttle, sourceP99Ms: null });
      const what =
        limits === null
          ? 'the limits of the configuration hold again'
          : `${limits}; what is not named is as configured`;
      return who === null ? `${what}, from the next run on` : `${what}; the run of ${who} notices ${soon}`;
    }
  }
}

/** For the facts of a migration or run, where there is something to say. */
export function controlFacts(control: RunControl): (readonly [string, string])[] {
  const { paused, cancelled, throttle } = control;
  const byText = ({ by, atMs }: ControlNote): string => `by ${by} at ${instantForPeople(instantText(atMs))}`;
  return [
    ...(paused === null ? [] : [['paused', byText(paused)] as const]),
    ...(cancelled === null ? [] : [['cancelled', byText(cancelled)] as const]),
    ...(throttle === null
      ? []
      : [['throttle', `${limitsText({ ...throttle, sourceP99Ms: null })}, ${byText(throttle)}`] as const]),
  ];
}

export function controlJson(control: RunControl) {
  const noteJson = (note: ControlNote | null) => (note === null ? null : { by: note.by, at: instantText(note.atMs) });
  const { paused, cancelled, throttle } = control;
  return {
    standing: standingOf(control),
    paused: noteJson(paused),
    cancelled: noteJson(cancelled),
    throttle:
      throttle === null
        ? null
        : {
            ratePerSecond: throttle.ratePerSecond,
            targetP99Ms: throttle.targetP99Ms,
            by: throttle.by,
            at: instantText(throttle.atMs),
          },
  };
}
