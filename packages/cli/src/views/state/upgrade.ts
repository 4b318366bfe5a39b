/** Formats of the state, before and after. */
import type { UpgradedMigration } from '@keyferry/engine';
import { counted } from '../layout/numbers.ts';
import { envelope, type View } from '../view.ts';

export type Upgraded = readonly UpgradedMigration[];

export const upgradedView: View<Upgraded> = {
  human: (all, { palette }) => {
    if (all.every(({ from, to }) => from === to)) {
      return `nothing to upgrade: ${counted(all.length, 'migration')}, all of them in the format of this keyferry\n`;
    }
    const lines = all.map(({ migration, from, to, items }) => {
      const how = from === to ? `format ${to} already` : `format ${from} to ${to}, ${counted(items, 'item')}`;
      return `${palette.strong(migration)}   ${how}`;
    });
    return `${lines.join('\n')}\n`;
  },
  json: (all, warnings) => envelope('keyferry.state-upgraded', warnings, { migrations: all }),
};
