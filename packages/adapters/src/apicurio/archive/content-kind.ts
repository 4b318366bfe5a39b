/**
 * Which kind 3.x takes a JSON document for when that kind is one that its importer cannot store: such a content is dropped.
 *
 * The importer of a 2.x archive does not look at the type of the artifact; it guesses from the bytes, and asks the kinds
 * of 2.6 first. Read in the source of the 3.3 line, and seen on 3.3.3 for each of them (test/contract/apicurio-import.test.ts).
 */

/** Documents beyond this size are not looked at: none of these kinds is a large one. */
export const lookedAtBytesMax = 1024 * 1024;

/** @returns the name of the kind as 3.x has it; null: one that it stores */
export function kindTakenFor(text: string): string | null {
  const document = objectIn(text);
  if (document === null) return null;
  const has = (name: string): boolean => Object.hasOwn(document, name);
  if (has('openapi') || has('swagger') || has('asyncapi') || isJsonSchema(document) || isAvro(document)) return null;
  if (has('name') && has('inputSchema')) return 'MCP_TOOL';
  if (has('name') && (has('capabilities') || has('skills'))) return 'AGENT_CARD';
  if (has('format-version') && has('table-uuid')) return 'ICEBERG_TABLE';
  if (typeof document['modelId'] === 'string' && (has('input') || has('output'))) return 'MODEL_SCHEMA';
  if (typeof document['templateId'] === 'string' && typeof document['template'] === 'string') return 'PROMPT_TEMPLATE';
  if (has('openrpc')) return 'OPENRPC';
  return null;
}

function objectIn(text: string): Readonly<Record<string, unknown>> | null {
  if (!/^\s*\{/.test(text)) return null;
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch {
    return null;
  }
}

function isJsonSchema({ $schema }: Readonly<Record<string, unknown>>): boolean {
  return typeof $schema === 'string' && $schema.includes('json-schema.org');
}

function isAvro({ type }: Readonly<Record<string, unknown>>): boolean {
  return typeof type === 'string' && ['record', 'enum', 'fixed', 'array', 'map', 'error'].includes(type);
}
