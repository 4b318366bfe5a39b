/** Goal: only documents that the importer takes for a kind it cannot store are said to be lost, and their neighbours not. */
import { describe, expect, it } from 'vitest';
import { kindTakenFor } from './content-kind.ts';

describe('kindTakenFor', () => {
  it.each([
    { name: 'a tool', text: '{"name":"x","inputSchema":{}}', want: 'MCP_TOOL' },
    { name: 'an agent card', text: ' {"name":"x","skills":[]}', want: 'AGENT_CARD' },
    { name: 'a table', text: '{"format-version":2,"table-uuid":"x"}', want: 'ICEBERG_TABLE' },
    { name: 'a model', text: '{"modelId":"x","output":{}}', want: 'MODEL_SCHEMA' },
    { name: 'a prompt', text: '{"templateId":"x","template":"y"}', want: 'PROMPT_TEMPLATE' },
    { name: 'an OpenRPC', text: '{"openrpc":"1.2.6"}', want: 'OPENRPC' },
    { name: 'a model whose id is no text', text: '{"modelId":1,"output":{}}', want: null },
    { name: 'a name alone', text: '{"name":"x"}', want: null },
    { name: 'an Avro record with skills', text: '{"type":"record","name":"x","fields":[],"skills":[]}', want: null },
    {
      name: 'a JSON schema with skills',
      text: '{"$schema":"http://json-schema.org/x","name":"x","skills":[]}',
      want: null,
    },
    { name: 'an OpenAPI with skills', text: '{"openapi":"3.0.0","name":"x","skills":[]}', want: null },
    { name: 'a list', text: '[{"name":"x","skills":[]}]', want: null },
    { name: 'what begins like JSON', text: '{"name":"x","skills"', want: null },
    { name: 'nothing', text: '', want: null },
  ])('$name', ({ text, want }) => expect(kindTakenFor(text)).toBe(want));
});
