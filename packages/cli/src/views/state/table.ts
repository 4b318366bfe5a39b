/** The table that holds the state, after it was made. */
import { pasteable } from '../layout/commands.ts';
import { envelope, type View } from '../view.ts';

export interface StateTable {
  readonly table: string;
  readonly region: string;
  /** `exists`: it was there, and is as it must be. */
  readonly outcome: 'created' | 'exists';
}

export const stateTableView: View<StateTable> = {
  human: ({ table, region, outcome }, context) =>
    [
      outcome === 'created'
        ? `Made table ${table} in ${region}: on demand, protected from deletion.`
        : `Table ${table} in ${region} was there already, and is as it must be.`,
      `Next: ${pasteable('keyferry doctor', context)}`,
      '',
    ].join('\n'),
  json: (result, warnings) => envelope('keyferry.state-table', warnings, { ...result, next: 'keyferry doctor' }),
};
