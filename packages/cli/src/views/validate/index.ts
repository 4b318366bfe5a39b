/** A valid configuration in a few lines: what it names, so that a typing error in a name is seen. */
import { columns } from '../layout/columns.ts';
import { counted } from '../layout/numbers.ts';
import { envelope, type View, type ViewContext } from '../view.ts';

export interface ValidConfig {
  readonly file: string;
  readonly stores: readonly { readonly store: string; readonly kind: string }[];
  readonly migrations: readonly ValidMigration[];
}

export interface ValidMigration {
  readonly migration: string;
  readonly source: { readonly store: string; readonly prefix: string };
  readonly target: { readonly store: string; readonly prefix: string };
  readonly strategy: string;
}

export const validateView: View<ValidConfig> = {
  human: validateHuman,
  json: (config, warnings) => envelope('keyferry.validate', warnings, { valid: true, ...config }),
};

function validateHuman({ file, stores, migrations }: ValidConfig, { palette }: ViewContext): string {
  const kinds = new Map(stores.map(({ store, kind }) => [store, kind]));
  const side = ({ store, prefix }: ValidMigration['source']): string =>
    `${store} (${kinds.get(store) ?? ''}) ${prefix === '' ? '(all keys)' : prefix}`;
  const rows = migrations.map((each) => [
    `  ${each.migration}`,
    each.strategy,
    side(each.source),
    '->',
    side(each.target),
  ]);
  const left = { align: 'left' } as const;
  return [
    `${palette.good('valid')}   ${file}: ${counted(stores.length, 'store')}, ${counted(migrations.length, 'migration')}`,
    ...columns(rows, [left, left, left, left, left]),
    '',
  ].join('\n');
}
