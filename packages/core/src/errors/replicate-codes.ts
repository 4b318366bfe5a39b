/** Failures of strategy `replicate`; a part of codes.ts. */
import { entry } from './entry.ts';

export const replicateCodes = {
  'switch.refused': entry<{ where: string; detail: string }>({
    retry: 'backoff',
    summary: '{where} was told and did not do it: {detail}',
    remedy: 'mend it, and run the command again: it tells it once more',
  }),
  'switch.taken': entry<{ where: string; migration: string; now: string }>({
    retry: 'never',
    summary: 'the switch at {where} was moved by somebody else ({now}); this cutover ends here',
    remedy: 'see where it stands:   keyferry status {migration}',
  }),
  'tail.held': entry<{ migration: string; tail: string; run: string }>({
    retry: 'never',
    summary: 'run {run} carries the changes of {migration} ({tail} tail); one at a time may',
    remedy: 'end it, or wait until its lease has ended',
  }),
  'tail.deletes-guarded': entry<{ migration: string; deletes: number; keys: number; why: string }>({
    retry: 'never',
    summary:
      'the position in the feed of {migration} was lost, and the comparison in its place would delete {deletes} of {keys} keys: {why}; nothing was deleted',
    remedy: 'see that the primary store is whole, then accept it by name:   keyferry apply PLAN --accept guard.deletes',
  }),
  'tail.too-many-refused': entry<{ migration: string; count: number; first: string }>({
    retry: 'never',
    summary: '{count} records of {migration} cannot be carried, {first} among them; the tail ends here',
    remedy: 'see which and why:   keyferry status {migration}   and change or delete them where they were written',
  }),
  'cutover.not-ready': entry<{ migration: string; why: string }>({
    retry: 'never',
    summary: '{migration} cannot be cut over: {why}; writes were not held',
    remedy: 'let it catch up, then try again:   keyferry apply PLAN',
  }),
  'cutover.instances-missing': entry<{ migration: string; command: string; what: string }>({
    retry: 'never',
    summary:
      'not every instance of {migration} is there to acknowledge that writes are held: {what}; they were not held',
    remedy:
      'see who:   keyferry status {migration}   start them, or name one that is dead for good:   keyferry {command} {migration} --confirm-gone INSTANCE',
  }),
  'cutover.undone': entry<{ migration: string; why: string; heldMs: number; primary: string }>({
    retry: 'never',
    summary:
      'the cutover of {migration} was undone: {why}; writes were held for {heldMs} ms and go to the {primary} again',
    remedy: 'nothing was lost; look into the cause, then try again:   keyferry cutover {migration}',
  }),
  'cutover.unconfirmed': entry<{ migration: string; what: string; command: string }>({
    retry: 'never',
    summary: 'a person is the switch of {migration}, and nobody has confirmed that {what}',
    remedy: 'stop the writers, then say so:   {command} --confirm',
  }),
  'rollback.not-carried': entry<{ migration: string; count: number; keys: readonly string[] }>({
    retry: 'never',
    summary: 'going back would lose {count} records of {migration} that the source cannot take; nothing was changed',
    remedy: 'see which and why:   keyferry status {migration}   and change or delete them in the target',
  }),
} as const;
