import { Args } from '@oclif/core';
import { BaseCommand, type Outcome } from '../base-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { documentSchemas } from '../schemas/documents.ts';
import { usageError } from '../usage-error.ts';
import { schemaListView, schemaView, type NamedSchema } from '../views/schema/index.ts';
import { loadAdapters } from '../wiring.ts';

const config = 'config';

export default class Schema extends BaseCommand {
  static override readonly summary = 'JSON Schema (draft-07) of the configuration file, or of a document of --json.';
  static override readonly description =
    'Without a name: which there are. `config` is the configuration file; `events` one line of --events; each other ' +
    'one is the document of that format that --json prints: `plan` of keyferry.plan, `error` of keyferry.error. ' +
    'Later minor versions add members and values; readers ignore what they do not know.';
  static override readonly examples = [
    '<%= config.bin %> schema',
    '<%= config.bin %> schema config > keyferry.schema.json',
    '<%= config.bin %> schema plan',
  ];
  static override readonly args = {
    name: Args.string({ description: 'Name of a schema; all names when it is left out.' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Schema);
    const { name } = args;
    if (name === undefined) {
      const names = [config, ...Object.keys(documentSchemas)];
      await this.perform(flags, null, async () => ({ result: names, view: schemaListView, exitCode: exitCodes.done }));
      return;
    }
    await this.perform<NamedSchema>(flags, name, async (): Promise<Outcome<NamedSchema>> => {
      return { result: { name, schema: await readSchema(name) }, view: schemaView, exitCode: exitCodes.done };
    });
  }
}

async function readSchema(name: string): Promise<object> {
  const { configJsonSchema, nearest } = await loadAdapters();
  if (name === config) return configJsonSchema();
  if (isDocument(name)) return (await documentSchemas[name]()).default;
  const near = nearest(name, [config, ...Object.keys(documentSchemas)]);
  const meant = near === null ? '' : `did you mean:   keyferry schema ${near}\n`;
  throw usageError(`there is no schema ${name}`, `${meant}list them:   keyferry schema`);
}

const isDocument = (name: string): name is keyof typeof documentSchemas => Object.hasOwn(documentSchemas, name);
