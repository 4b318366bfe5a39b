/** The kinds of stores, and which side of a migration each can be on. */
import { columns } from '../layout/columns.ts';
import { envelope, type View } from '../view.ts';

export interface ListedAdapter {
  readonly kind: string;
  readonly source: boolean;
  readonly target: boolean;
  readonly description: string;
}

export const adaptersView: View<readonly ListedAdapter[]> = {
  human: (adapters) => {
    const rows = adapters.map((each) => [
      each.kind,
      each.source ? 'source' : '-',
      each.target ? 'target' : '-',
      each.description,
    ]);
    const left = { align: 'left' } as const;
    return `${columns(rows, [left, left, left, left]).join('\n')}\n`;
  },
  json: (adapters, warnings) => envelope('keyferry.adapters', warnings, { adapters }),
};
