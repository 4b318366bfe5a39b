/** What can go wrong where applications take part in a migration: at the switch, at a barrier, in the client. Part of `codes`. */
import { entry } from './entry.ts';

export const onlineCodes = {
  'switch.unreadable': entry<{ where: string }>({
    retry: 'never',
    summary: 'what is at {where} is no switch that this version can read; nothing was written',
    remedy: 'name another place for the switch, or use the keyferry that wrote it',
  }),
  'switch.other-migration': entry<{ where: string; migration: string; found: string }>({
    retry: 'never',
    summary: 'the switch {where} is that of migration {found}, not of {migration}; nothing was written',
    remedy: 'give each migration a place of its own:   switch: { store: …, key: … }',
  }),
  'switch.moved': entry<{ where: string; migration: string }>({
    retry: 'never',
    summary: 'somebody else announced a mode at the switch {where} of {migration} meanwhile',
    remedy: 'see where it stands:   keyferry status {migration}',
  }),
  'switch.no-way-back': entry<{ migration: string; where: string }>({
    retry: 'never',
    summary:
      'applications follow {where} by themselves and write the target of {migration} in every mode, so nothing can lead them back; nothing was changed',
    remedy:
      'until the key is true, leave it so: applications go on in both stores\ngo on:   keyferry status {migration}',
  }),
  'barrier.timed-out': entry<{
    migration: string;
    mode: string;
    waitedMs: number;
    back: string;
    missing: readonly string[];
    short: number;
  }>({
    retry: 'never',
    summary:
      'not every instance acknowledged the mode {mode} of {migration} within {waitedMs} ms; it went back to the mode {back}, and nothing is lost',
    remedy:
      'see who is missing:            keyferry status {migration}\none that is dead for good:     repeat the command with   --confirm-gone INSTANCE',
  }),
  'instance.unknown': entry<{ instance: string; where: string; known: readonly string[] }>({
    retry: 'never',
    summary: 'no instance {instance} is registered at the switch {where}; nothing was changed',
    remedy: 'name it as   keyferry status MIGRATION   lists it',
  }),
  'source.stray-write': entry<{ migration: string; keys: readonly string[]; total: number; frozenAt: string }>({
    retry: 'never',
    summary:
      '{total} keys of the source of {migration} were written after it was frozen at {frozenAt}, by somebody who does not follow the switch; the migration went no further',
    remedy:
      'find and stop the writer, then go back and begin anew:   keyferry rollback {migration}\n(the value of each such key in the source is kept by rollback, unless the application wrote that key in the target)',
  }),
  'cutover.not-proven': entry<{ migration: string; what: readonly string[] }>({
    retry: 'never',
    summary: '{migration} could not be proven, so it was not cut over; applications go on as before',
    remedy: 'see what differs:   keyferry verify {migration}\ngo back:            keyferry rollback {migration}',
  }),
  'client.write-held': entry<{ key: string; mode: string }>({
    retry: 'backoff',
    summary: 'the write of {key} was held back by the mode {mode} for longer than it may wait; nothing was written',
    remedy: 'write again later; see what the migration waits for:   keyferry status MIGRATION',
  }),
  'client.not-serving': entry<{ instance: string }>({
    retry: 'backoff',
    summary: 'instance {instance} could not renew its lease at the switch in time, and so cannot answer for anything',
    remedy: 'check the way to the store that holds the switch; the instance serves again once it has renewed',
  }),
  'client.outcome-unknown': entry<{ key: string }>({
    retry: 'never',
    summary: 'whether the write of {key} happened is not known; it may still happen',
    remedy: 'read the key, and write again under the condition of what was read',
  }),
  'client.named-gone': entry<{ instance: string; where: string }>({
    retry: 'never',
    summary: 'an operator named instance {instance} gone at {where}; it serves no more',
    remedy: 'restart the process: it registers under a new name',
  }),
  'client.watch-lost': entry<{ prefix: string; why: string }>({
    retry: 'never',
    summary: 'a watch of {prefix} ended: {why}. Changes may have been missed',
    remedy: 'open another watch, and then list the prefix',
  }),
  'client.path-refused': entry<{ path: string; why: string }>({
    retry: 'never',
    summary: '{path} cannot be used so: {why}; nothing was written',
    remedy: "name directories as in   directory('/app/queue')   and keep counters out of them",
  }),
  'client.counter-unreadable': entry<{ key: string }>({
    retry: 'never',
    summary: 'the record {key} counts keys in order, and holds no number; nothing was written',
    remedy: 'use a record for the counter that nothing else writes, or write the last number into it',
  }),
  'client.tree-unfinished': entry<{ directory: string; key: string; deleted: number; total: number }>({
    retry: 'never',
    summary:
      '{deleted} of {total} keys of {directory} were deleted, and then the delete of {key} failed; the others are as they were',
    remedy: 'see the cause of this error, then delete the tree again',
  }),
} as const;
