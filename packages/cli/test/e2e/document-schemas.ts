/** Holds documents of --json against the schemas that the binary prints, closed: a member that they do not know is a problem. */
import { Ajv } from 'ajv';

export type Schema = Readonly<Record<string, unknown>>;

const ajv = new Ajv({
  allErrors: true,
  strict: true,
  allowUnionTypes: true,
  strictRequired: false,
  strictTypes: false,
});

export class DocumentSchemas {
  private readonly print: (name: string) => Promise<string>;
  private readonly known = new Map<string, Schema>();

  /** @param print what `keyferry schema NAME` prints */
  constructor(print: (name: string) => Promise<string>) {
    this.print = print;
  }

  async get(name: string): Promise<Schema> {
    const known = this.known.get(name);
    if (known !== undefined) return known;
    const schema = closed(JSON.parse(await this.print(name))) as Schema;
    this.known.set(name, schema);
    return schema;
  }

  async problems(name: string, document: unknown): Promise<unknown> {
    return problems(await this.get(name), document);
  }
}

export function problems(schema: Schema, document: unknown): unknown {
  const validate = ajv.compile(schema);
  return validate(document) ? [] : validate.errors;
}

/** The same schema, refusing members that it does not name. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const inner = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  const names = 'properties' in schema && 'type' in schema && !('additionalProperties' in schema);
  return names ? { ...inner, additionalProperties: false } : inner;
}
