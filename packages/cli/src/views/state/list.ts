/** All migrations of a state, one a line. */
import { instantText } from '@keyferry/core';
import type { ListedMigration } from '@keyferry/engine';
import { columns } from '../layout/columns.ts';
import { durationText } from '../layout/numbers.ts';
import { envelope, type View } from '../view.ts';

export type ListedMigrations = readonly ListedMigration[];

export const stateListView: View<ListedMigrations> = {
  human: (all, { nowMs, palette }) => {
    if (all.length === 0) return 'the state holds no migrations\n';
    const rows = all.map(({ state, locked }) => [
      palette.strong(state.migration),
      state.phase,
      `attempt ${state.attempt}`,
      state.plan,
      `changed ${durationText(Math.max(0, nowMs - state.changedAtMs))} ago`,
      locked ? palette.caution('locked') : '',
    ]);
    return `${columns(
      rows,
      Array.from({ length: 6 }, () => ({ align: 'left', gap: 3 }) as const),
    ).join('\n')}\n`;
  },
  json: (all, warnings) =>
    envelope('keyferry.state-list', warnings, {
      migrations: all.map(({ state, locked }) => ({
        migration: state.migration,
        phase: state.phase,
        attempt: state.attempt,
        plan: state.plan,
        run: state.run,
        startedAt: instantText(state.startedAtMs),
        changedAt: instantText(state.changedAtMs),
        locked,
      })),
    }),
};
