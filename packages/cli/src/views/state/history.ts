/** What happened to a migration, one event a line. */
import { instantText, type EventItem, type MigrationId } from '@keyferry/core';
import { holderForPeople } from '../../lock-holder.ts';
import { columns } from '../layout/columns.ts';
import { textForDisplay } from '../layout/keys.ts';
import { envelope, type View } from '../view.ts';

export interface History {
  readonly migration: MigrationId;
  /** Oldest first. */
  readonly events: readonly EventItem[];
}

export const historyView: View<History> = {
  human: ({ migration, events }, { palette }) => {
    const rows = events.map(({ atMs, type, message, by, run }) => [
      `  ${instantText(atMs).slice(0, 19).replace('T', ' ')}`,
      type,
      textForDisplay(message),
      whoText(by, run),
    ]);
    const layout = [{ align: 'left' }, { align: 'left' }, { align: 'left' }, { align: 'left', gap: 3 }] as const;
    const lines = events.length === 0 ? ['  nothing is recorded'] : columns(rows, layout);
    return [`${palette.strong(migration)}   times in UTC`, ...lines, ''].join('\n');
  },
  json: ({ migration, events }, warnings) =>
    envelope('keyferry.state-history', warnings, { migration, events: events.map(eventJson) }),
};

export function whoText(by: string | undefined, run: string): string {
  return by === undefined ? run : `${holderForPeople(by)}, ${run}`;
}

export function eventJson({ atMs, type, message, by, run }: EventItem) {
  return { at: instantText(atMs), type, message, by: by === undefined ? null : holderForPeople(by), run };
}
