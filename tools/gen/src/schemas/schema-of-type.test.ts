/** Goal: a schema says what JSON.stringify makes of a type, no less and no more. Method: types as text, one a row. */
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { schemaOfType } from './schema-of-type.ts';

function schemaOf(text: string): unknown {
  const file = ts.createSourceFile('a.ts', `type Wanted = ${text};`, ts.ScriptTarget.ESNext, true);
  const library = `interface Array<T> { length: number; [n: number]: T }
    interface ReadonlyArray<T> { readonly length: number; readonly [n: number]: T }
    interface Function {} interface CallableFunction {} interface NewableFunction {} interface IArguments {}
    interface Boolean {} interface Number {} interface Object {} interface RegExp {} interface String {}
    type Record<K extends string, T> = { [P in K]: T }; type Partial<T> = { [P in keyof T]?: T[P] };`;
  const lib = ts.createSourceFile('lib.d.ts', library, ts.ScriptTarget.ESNext, true);
  const options = { strict: true, noLib: true, target: ts.ScriptTarget.ESNext, exactOptionalPropertyTypes: true };
  const host = ts.createCompilerHost(options);
  host.getSourceFile = (name) => (name === 'a.ts' ? file : name === 'lib.d.ts' ? lib : undefined);
  const program = ts.createProgram(['lib.d.ts', 'a.ts'], options, host);
  const checker = program.getTypeChecker();
  const [statement] = file.statements;
  if (statement === undefined || !ts.isTypeAliasDeclaration(statement)) throw new TypeError('no type');
  return schemaOfType({ checker, sources: [] }, checker.getTypeAtLocation(statement.name), 'Wanted');
}

describe('schemaOfType', () => {
  it.each([
    ['string', { type: 'string' }],
    ['number | null', { type: ['number', 'null'] }],
    ['boolean', { type: 'boolean' }],
    ["'b' | 'a'", { enum: ['a', 'b'] }],
    ["'a' | null", { anyOf: [{ const: 'a' }, { type: 'null' }] }],
    ['readonly string[]', { type: 'array', items: { type: 'string' } }],
    ['string & { readonly brand: 1 }', { type: 'string' }],
    ['unknown', {}],
    ['object', { type: 'object' }],
    ['Record<string, number>', { type: 'object', additionalProperties: { type: 'number' } }],
    ["Partial<Record<'a', number>>", { type: 'object', properties: { a: { type: 'number' } } }],
    ['{ a: 1 } & { b: 2 }', { type: 'object', required: ['a', 'b'], properties: { a: { const: 1 }, b: { const: 2 } } }],
    [
      '{\n/** In bytes. */\nsize: number; note?: string }',
      {
        type: 'object',
        required: ['size'],
        properties: { size: { description: 'In bytes.', type: 'number' }, note: { type: 'string' } },
      },
    ],
  ])('of %s', (text, want) => expect(schemaOf(text)).toEqual(want));

  it.each(['bigint', '{ f: () => void }', 'symbol'])('refuses %s, which does not go into JSON', (text) => {
    expect(() => schemaOf(text)).toThrow(/does not go into JSON/);
  });
});
