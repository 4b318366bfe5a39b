/** Schemas: their names, or one of them. The human form is the bare schema, to be piped into the file an editor reads. */
import { envelope, type View } from '../view.ts';

export interface NamedSchema {
  readonly name: string;
  readonly schema: object;
}

export const schemaView: View<NamedSchema> = {
  human: ({ schema }) => `${JSON.stringify(schema, null, 2)}\n`,
  json: ({ name, schema }, warnings) => envelope('keyferry.schema', warnings, { name, schema }),
};

export const schemaListView: View<readonly string[]> = {
  human: (names) => `${names.join('\n')}\n`,
  json: (schemas, warnings) => envelope('keyferry.schemas', warnings, { schemas }),
};
