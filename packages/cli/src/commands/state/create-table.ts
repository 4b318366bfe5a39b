import { BaseCommand } from '../../base-command.ts';
import { exitCodes } from '../../exit-codes.ts';
import { usageError } from '../../usage-error.ts';
import { stateTableView, type StateTable } from '../../views/state/table.ts';
import { loadAdapters, openConfig } from '../../wiring.ts';

export default class StateCreateTable extends BaseCommand {
  static override readonly summary = 'Make the DynamoDB table that the state is configured to be in.';
  static override readonly description =
    'On demand, protected from deletion, letting items go that have expired. A table that is there already is checked ' +
    'and otherwise left as it is.';
  static override readonly examples = ['<%= config.bin %> state create-table'];

  async run(): Promise<void> {
    const { flags } = await this.parse(StateCreateTable);
    await this.perform<StateTable>(flags, null, async (run) => {
      const { config } = await openConfig(run);
      const { state } = config;
      if (!('dynamodb' in state)) {
        const fix =
          'for state in a table:   state: { dynamodb: { table: NAME, region: REGION } }   in the configuration';
        throw usageError(`the state is in the file ${state.sqlite}, which is made when it is needed`, fix);
      }
      const { wireStateTable } = await loadAdapters();
      const outcome = await run.reading(wireStateTable(state));
      const { table, region } = state.dynamodb;
      return { result: { table, region, outcome }, view: stateTableView, exitCode: exitCodes.done };
    });
  }
}
