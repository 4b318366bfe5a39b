/** Where migrations stand. Each ends with the one safe next command and the way back. */
import {
  deletesOf,
  instantText,
  scannedOf,
  type ChunkCounts,
  type EventItem,
  type FeedBacklog,
  type LockState,
} from '@keyferry/core';
import type { OnlineStatus, PrimaryStatus, Status } from '@keyferry/engine';
import { holderForPeople } from '../../lock-holder.ts';
import { markerLines } from '../finalize/index.ts';
import { columns } from '../layout/columns.ts';
import { stepLines } from '../layout/commands.ts';
import { heldText } from '../layout/holder.ts';
import { keyText, textForDisplay } from '../layout/keys.ts';
import { withheld } from '../runs/show.ts';
import { controlFacts, controlJson } from '../runs/control.ts';
import { counted, countText, durationText, instantForPeople } from '../layout/numbers.ts';
import { cutoverJson, cutoverText, tailFacts, tailJson } from '../replicate/standing.ts';
import { primaryJson, primaryLines } from '../replicate/primary.ts';
import { backlogText } from '../replicate/wording.ts';
import { unrestorableText } from '../rollback/index.ts';
import { onlineJson, onlineLines } from '../online/status.ts';
import { envelope, type View, type ViewContext } from '../view.ts';

/** Events that the document has, and of these the last that people are shown. */
export const eventsReadMax = 20;
const eventsShownMax = 5;

/** What a store keeps on its own disk until a tail confirms it. */
export interface ShownBacklog extends FeedBacklog {
  readonly side: 'source' | 'target';
  readonly store: string;
}

export interface ShownStatus extends Status {
  /** Absent: no tail was ever begun. */
  readonly backlogs?: readonly ShownBacklog[];
  /** What happened beside the runs, the last ones, oldest first. */
  readonly events: readonly EventItem[];
  /** Where the application stands; absent: it takes no part, or its switch could not be read. */
  readonly online?: OnlineStatus;
  /** Where it is led; absent: not by a switch, or that could not be read. */
  readonly primary?: PrimaryStatus;
}

export const statusView: View<readonly ShownStatus[]> = {
  human: (all, context) => all.map((status) => statusHuman(status, context)).join('\n') || 'no migrations\n',
  json: (all, warnings) => envelope('keyferry.status', warnings, { migrations: all.map(statusJson) }),
};

function statusHuman(status: ShownStatus, context: ViewContext): string {
  const { palette } = context;
  const { migration, phase, state, deadLetters, events, step } = status;
  const done = state?.done ?? null;
  return [
    `${palette.strong(migration)}   ${phase}`,
    ...columns(
      statusFacts(status, context).map(([name, text]) => [`  ${name}`, text]),
      [{ align: 'left' }, { align: 'left' }],
    ),
    ...(status.online === undefined ? [] : onlineLines(status.online, context)),
    ...(status.primary === undefined ? [] : primaryLines(migration, status.primary, context)),
    ...(done === null ? [] : markerLines(done)),
    ...deadLetters.map(
      ({ targetKey, reason, sensitive = false }) =>
        `  ${palette.bad('x')} ${keyText(targetKey)}   ${sensitive ? withheld : textForDisplay(reason)}`,
    ),
    ...events.slice(-eventsShownMax).map(({ atMs, message }) => `  ${sinceText(atMs)}   ${textForDisplay(message)}`),
    ...stepLines(step.next, step.wayBack, context),
    '',
  ].join('\n');
}

type ShownFacts = Status & Pick<ShownStatus, 'backlogs'>;

/** Plan, run, progress, counts, rollback and lock, as far as there are any. */
export function statusFacts(status: ShownFacts, context: ViewContext): readonly (readonly [string, string])[] {
  const { nowMs, palette } = context;
  const { state, plan, lock, counts, chunksDone, chunksTotal, control, refusal } = status;
  const facts: (readonly [string, string])[] = [];
  if (state !== null) {
    const since = durationText(Math.max(0, nowMs - state.changedAtMs));
    facts.push(['plan', `${state.plan}, applied as ${state.appliedAs}`]);
    facts.push(['run', `${state.run}, attempt ${state.attempt}, changed ${since} ago`]);
  }
  if (counts !== null && plan !== null && state?.rolledBack === null) {
    const done = `${countText(scannedOf(counts))} of ${counted(plan.totals.scanned, 'entry', 'entries')}`;
    facts.push(['progress', `${done}, ${countText(chunksDone)} of ${counted(chunksTotal, 'chunk')}`]);
    facts.push([
      'counts',
      `${countText(counts.written)} written, ${guardedText(counts)}${countText(counts.equal)} equal, ${countText(counts.kept)} kept, ` +
        `${countText(counts.tombstoned)} tombstoned, ${countText(counts.deadLetters)} dead, ${countText(counts.notCarried)} not carried`,
    ]);
  }
  if (refusal !== null) {
    const { plan: refused, createdAt, findings } = refusal;
    const what = `plan ${refused} of ${instantForPeople(createdAt)}: ${findings.join(', ')}`;
    facts.push(['refused', palette.bad(what)]);
  }
  if (state !== null && state.rolledBack !== null) {
    const { removed, changed, restored, notRestored, expired } = state.rolledBack;
    const back =
      restored + expired > 0 ? `, ${countText(restored)} put back, ${countText(expired)} past their time` : '';
    const left = countText(state.rolledBack.left ?? changed + notRestored);
    facts.push(['rollback', `${countText(removed)} removed${back}, ${left} left: changed since, or expired`]);
  }
  if (status.unrestorable > 0) facts.push(['undo', palette.bad(unrestorableText(status.unrestorable))]);
  facts.push(...status.tails.flatMap((tail) => tailFacts(tail, context.nowMs, palette)));
  for (const backlog of status.backlogs ?? []) {
    const text = `${backlogText(backlog)} (${backlog.side})`;
    const isMuch = backlog.bytesLeft !== null && backlog.bytesLeft < backlog.bytes;
    facts.push([`kept in ${backlog.store}`, isMuch ? palette.bad(text) : text]);
  }
  if (status.cutover !== null) facts.push(['cutover', cutoverText(status.cutover)]);
  facts.push(...controlFacts(control));
  if (lock !== null) {
    facts.push(['lock', `${lock.lock} of ${heldText(lock, context)}`]);
  }
  return facts;
}

/** Only where there is something to say: most migrations only create. */
function guardedText({ overwritten, changed, deleted, deletesGone, deletesChanged }: ChunkCounts): string {
  const parts = [
    [overwritten, 'overwritten'],
    [changed, 'met a change'],
    [deleted + deletesGone, 'deleted or gone'],
    [deletesChanged, 'not deleted'],
  ] as const;
  return parts.map(([count, what]) => (count > 0 ? `${countText(count)} ${what}, ` : '')).join('');
}

export function statusJson(status: ShownStatus) {
  const { migration, phase, state, lock, counts, chunksDone, chunksTotal, deadLetters, events, step } = status;
  const { control, refusal } = status;
  return {
    migration,
    phase,
    plan: state?.plan ?? null,
    appliedAs: state?.appliedAs ?? null,
    run: state?.run ?? null,
    attempt: state?.attempt ?? 0,
    startedAt: state === null ? null : instantText(state.startedAtMs),
    changedAt: state === null ? null : instantText(state.changedAtMs),
    chunks: { done: chunksDone, total: chunksTotal },
    counts: counts === null ? null : { ...counts, scanned: scannedOf(counts), deletes: deletesOf(counts) },
    unrestorable: status.unrestorable,
    rolledBack: state?.rolledBack ?? null,
    doneMarker: state?.done ?? null,
    control: controlJson(control),
    refusal: refusal === null ? null : { plan: refusal.plan, at: refusal.createdAt, findings: refusal.findings },
    tails: status.tails.map(tailJson),
    backlogs: (status.backlogs ?? []).map(({ side, store, bytes, bytesLeft }) => ({ side, store, bytes, bytesLeft })),
    cutover: status.cutover === null ? null : cutoverJson(status.cutover),
    lock: lock === null ? null : { ...lockJson(lock), held: lock.held, heartbeatAgoMs: lock.heartbeatAgoMs },
    deadLetters: deadLetters.map(({ sourceKey, targetKey, chunk, reason, sensitive = false, atMs }) => ({
      sourceKey,
      targetKey,
      chunk,
      reason: sensitive ? null : reason,
      at: instantText(atMs),
    })),
    events: events.map(({ atMs, run, type, message }) => ({ at: instantText(atMs), run, type, message })),
    ...(status.online === undefined ? {} : { online: onlineJson(status.online) }),
    ...(status.primary === undefined ? {} : { primary: primaryJson(status.primary) }),
    next: step.next,
    wayBack: step.wayBack,
  };
}

export function lockJson({ lock, holder, run, command, acquiredAtMs, heartbeatAtMs, leaseEndsAtMs }: LockState) {
  return {
    lock,
    holder: holderForPeople(holder),
    run,
    command,
    acquiredAt: instantText(acquiredAtMs),
    heartbeatAt: instantText(heartbeatAtMs),
    leaseEndsAt: instantText(leaseEndsAtMs),
  };
}

export const sinceText = (atMs: number): string => instantForPeople(instantText(atMs));
