/** docs/reference/config.md: every field of a configuration file, from the schema that checks it. */
import { configJsonSchema } from '@keyferry/adapters';
import { code, page, table } from '../markdown.ts';

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly required?: readonly string[];
}

export function configPage(): string {
  const rows = rowsOf('', configJsonSchema(), true);
  return page(
    'Configuration',
    [
      'Every field of `keyferry.yaml`. NAME is a name of your own; `[]` is each element of a list; `|` parts the kinds of ' +
        'a store and the forms of a rule. `keyferry schema config` prints this as JSON Schema for editors, and ' +
        '`keyferry validate` checks a file: unknown fields are errors.',
    ],
    table(['field', 'takes', 'by default', 'what it says'], rows),
  );
}

function rowsOf(path: string, schema: Schema, required: boolean): string[][] {
  const alternatives = schema.oneOf ?? schema.anyOf;
  const whole = alternatives?.some(hasMembersToTell) === true;
  const own =
    path === '' || (isMap(schema) && schema.description === undefined)
      ? []
      : [[code(path), takes(schema), byDefault(schema, required), schema.description ?? '']];
  if (whole) return [...own, ...(alternatives ?? []).flatMap((each) => rowsOfAlternative(path, each))];
  return [...own, ...inner(path, schema)];
}

/** Of what one member says by itself, as in a reference to a secret, nothing is left to tell. */
function hasMembersToTell({ properties = {} }: Schema): boolean {
  const members = Object.values(properties);
  return members.length > 1 || members.some((member) => member.properties !== undefined);
}

/** One kind of store: named by its literal member, which is not repeated for each field. */
function rowsOfAlternative(path: string, schema: Schema): string[][] {
  const [name, literal] = literalMember(schema) ?? [];
  if (name === undefined || literal === undefined) return inner(path, schema);
  const at = `${path}|${text(literal.const)}`;
  const rest = Object.fromEntries(Object.entries(schema.properties ?? {}).filter(([key]) => key !== name));
  return [[code(at), literalText(schema), '', schema.description ?? ''], ...inner(at, { ...schema, properties: rest })];
}

function inner(path: string, schema: Schema): string[][] {
  const at = (name: string): string => (path === '' ? name : `${path}.${name}`);
  const rows = Object.entries(schema.properties ?? {}).flatMap(([name, each]) =>
    rowsOf(at(name), each, schema.required?.includes(name) === true),
  );
  if (typeof schema.additionalProperties === 'object')
    rows.push(...rowsOf(at('NAME'), schema.additionalProperties, true));
  if (schema.items !== undefined && isObject(schema.items)) rows.push(...inner(`${path}[]`, schema.items));
  return rows;
}

const isObject = ({ type, oneOf, anyOf }: Schema): boolean =>
  type === 'object' || oneOf !== undefined || anyOf !== undefined;
const isMap = ({ properties, additionalProperties }: Schema): boolean =>
  properties === undefined && typeof additionalProperties === 'object';

function takes(schema: Schema): string {
  const { type, items } = schema;
  if (schema.const !== undefined) return code(text(schema.const));
  if (schema.enum !== undefined) return schema.enum.map((value) => code(text(value))).join(', ');
  const alternatives = schema.oneOf ?? schema.anyOf;
  if (alternatives !== undefined) return [...new Set(alternatives.map((each) => literalText(each)))].join(' or ');
  if (type === 'array') return items === undefined ? 'list' : `list of ${takes(items)}`;
  if (type === 'object') {
    const members = Object.keys(schema.properties ?? {});
    return members.length === 0 ? 'map' : `{ ${members.join(', ')} }`;
  }
  return type ?? 'anything';
}

const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

const literalMember = ({ properties = {} }: Schema): [string, Schema] | undefined =>
  Object.entries(properties).find(([, each]) => each.const !== undefined);

/** A kind of store by its kind, as its members have rows of their own; anything else as it is. */
function literalText(schema: Schema): string {
  const [name, literal] = literalMember(schema) ?? [];
  return name === undefined || literal === undefined ? takes(schema) : code(`${name}: ${text(literal.const)}`);
}

function byDefault({ default: usual }: Schema, required: boolean): string {
  if (usual === undefined) return required ? 'required' : '';
  const written = text(usual);
  return written === '{}' ? '' : code(written);
}
