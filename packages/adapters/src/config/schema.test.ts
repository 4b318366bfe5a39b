/** Goal: editors are told what the validator will say. Method: the generated JSON schema, looked at where it matters. */
import { describe, expect, it } from 'vitest';
import { valueAt } from './schema-issues.ts';
import { configJsonSchema } from './schema.ts';

describe('configJsonSchema', () => {
  const schema = configJsonSchema();
  it('is draft-07, strict, and holds the defaults as they are written', () => {
    expect(schema).toMatchObject({ $schema: 'http://json-schema.org/draft-07/schema#', additionalProperties: false });
    expect(valueAt(schema, ['required'])).toEqual(['version', 'stores', 'migrations']);
    const migration = valueAt(schema, ['properties', 'migrations', 'additionalProperties', 'oneOf', 0, 'properties']);
    expect(valueAt(migration, ['plan', 'properties', 'maxAge', 'default'])).toBe('24h');
    expect(valueAt(migration, ['limits', 'properties', 'chunkSize', 'default'])).toBe('16MiB');
    expect(valueAt(migration, ['onConflict', 'default'])).toBe('fail');
  });

  it('has no place for a password in plain text', () => {
    const password = JSON.stringify(
      valueAt(schema, [
        'properties',
        'stores',
        'additionalProperties',
        'oneOf',
        0,
        'properties',
        'auth',
        'properties',
        'password',
        'anyOf',
      ]),
    );
    expect(JSON.parse(password)).toMatchObject(Array.from({ length: 4 }, () => ({ type: 'object' })));
  });
});
