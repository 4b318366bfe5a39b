/**
 * From a TypeScript type to the JSON Schema of what JSON.stringify makes of its values. It knows what documents are made
 * of (texts, numbers, unions, lists, objects, records) and refuses everything else: a function or a bigint in a document
 * is a mistake. Comments of members become descriptions. Members may be added in later versions, so none is forbidden.
 */
import ts from 'typescript';
import type { Program } from './program.ts';

export type JsonSchema = Readonly<Record<string, unknown>>;

export function schemaOfType({ checker }: Program, type: ts.Type, path = ''): JsonSchema {
  const of = (each: ts.Type, name: string): JsonSchema =>
    schemaOfType({ checker, sources: [] }, each, `${path}/${name}`);
  const { flags } = type;
  if (flags & (ts.TypeFlags.Any | ts.TypeFlags.Unknown)) return {};
  if (flags & ts.TypeFlags.NonPrimitive) return { type: 'object' };
  if (flags & ts.TypeFlags.Null) return { type: 'null' };
  if (type.isStringLiteral() || type.isNumberLiteral()) return { const: type.value };
  if (flags & ts.TypeFlags.BooleanLiteral) return { const: checker.typeToString(type) === 'true' };
  if (flags & ts.TypeFlags.StringLike) return { type: 'string' };
  if (flags & ts.TypeFlags.NumberLike) return { type: 'number' };
  if (flags & ts.TypeFlags.BooleanLike) return { type: 'boolean' };
  if (type.isUnion())
    return unionOf(
      type.types.filter((each) => !(each.flags & ts.TypeFlags.Undefined)),
      of,
    );
  if (type.isIntersection()) {
    // A branded text or number: the brand exists for the compiler only.
    const primitive = type.types.find((each) => each.flags & (ts.TypeFlags.StringLike | ts.TypeFlags.NumberLike));
    if (primitive !== undefined) return of(primitive, '');
  }
  if (checker.isArrayType(type) || checker.isTupleType(type)) {
    const items = checker.getTypeArguments(type as ts.TypeReference).map((item) => of(item, '[]'));
    return { type: 'array', items: items.length === 1 ? items[0] : { anyOf: items } };
  }
  if (type.getCallSignatures().length > 0 || !(flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection))) {
    throw new TypeError(`${path} is ${checker.typeToString(type)}, which does not go into JSON`);
  }
  return objectOf(checker, type, of);
}

function objectOf(checker: ts.TypeChecker, type: ts.Type, of: (type: ts.Type, name: string) => JsonSchema): JsonSchema {
  const properties: Record<string, JsonSchema> = {};
  const required: string[] = [];
  for (const symbol of checker.getPropertiesOfType(type)) {
    const { name } = symbol;
    const description = ts.displayPartsToString(symbol.getDocumentationComment(checker)).replaceAll('\n', ' ');
    const schema = of(checker.getTypeOfSymbol(symbol), name);
    properties[name] = description === '' ? schema : { description, ...schema };
    if (!(symbol.flags & ts.SymbolFlags.Optional)) required.push(name);
  }
  const index = checker.getIndexInfoOfType(type, ts.IndexKind.String);
  return {
    type: 'object',
    ...(required.length > 0 ? { required } : {}),
    ...(Object.keys(properties).length > 0 ? { properties } : {}),
    ...(index === undefined ? {} : { additionalProperties: of(index.type, '*') }),
  };
}

/** In an order of its own: the compiler's depends on what else it has read before. */
function unionOf(types: readonly ts.Type[], of: (type: ts.Type, name: string) => JsonSchema): JsonSchema {
  const schemas = distinct(types.map((type) => of(type, '')));
  const values = schemas.filter((schema) => 'const' in schema).map(({ const: value }) => value);
  const rest = schemas.filter((schema) => !('const' in schema));
  // true | false is how the compiler writes boolean.
  const isBoolean = values.length === 2 && values.every((value) => typeof value === 'boolean');
  if (isBoolean) rest.push({ type: 'boolean' });
  else if (values.length === 1) rest.push({ const: values[0] });
  else if (values.length > 1)
    rest.push({ enum: values.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) });
  const [only, ...others] = rest.toSorted(byText);
  if (only === undefined) return {};
  if (others.length === 0) return only;
  const all = [only, ...others];
  const names = all.map((schema) => (Object.keys(schema).join() === 'type' ? schema['type'] : null));
  return names.every((name) => name !== null) ? { type: names } : { anyOf: all };
}

/** Null last. */
function byText(a: JsonSchema, b: JsonSchema): number {
  const isNull = ({ type }: JsonSchema): number => Number(type === 'null');
  return isNull(a) - isNull(b) || (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
}

function distinct(schemas: readonly JsonSchema[]): JsonSchema[] {
  return [...new Map(schemas.map((schema) => [JSON.stringify(schema), schema])).values()];
}
