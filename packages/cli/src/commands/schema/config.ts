import { BaseCommand } from '../../base-command.ts';
import { exitCodes } from '../../exit-codes.ts';
import { envelope, type View } from '../../views/view.ts';
import { loadAdapters } from '../../wiring.ts';

type Schema = Readonly<Record<string, unknown>>;

/** The human form is the bare schema, so that it can be piped into the file that an editor reads. */
const schemaView: View<Schema> = {
  human: (schema) => `${JSON.stringify(schema, null, 2)}\n`,
  json: (schema, warnings) => envelope('keyferry.schema', warnings, { name: 'config', schema }),
};

export default class SchemaConfig extends BaseCommand {
  static override readonly summary = 'JSON Schema (draft-07) of the configuration file.';

  async run(): Promise<void> {
    const { flags } = await this.parse(SchemaConfig);
    await this.perform<Schema>(flags, null, async () => {
      const { configJsonSchema } = await loadAdapters();
      return { result: configJsonSchema(), view: schemaView, exitCode: exitCodes.done };
    });
  }
}
