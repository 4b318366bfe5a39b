/** An archive of 2.x in which every reason for a loss, and every change of meaning, is found at least once. */
import type { WrittenArchive, WrittenContent, WrittenVersion } from './apicurio-archive-writer.ts';

const record = (name: string): string =>
  JSON.stringify({ type: 'record', name, fields: [{ name: 'f', type: 'string' }] });
const content = (contentId: number, more: Partial<WrittenContent> = {}): WrittenContent => ({
  contentId,
  text: record(`R${contentId}`),
  ...more,
});
const reference = (name: string, artifactId = 'plain') => ({ groupId: null, artifactId, version: '1', name });

let nextId = 1;
const version = (artifactId: string, contentId: number, more: Partial<WrittenVersion> = {}): WrittenVersion => ({
  globalId: nextId++,
  artifactId,
  version: '1',
  contentId,
  ...more,
});

/** Kinds that the importer guesses and cannot store, each by its least document. */
const refused: readonly string[] = [
  '{"openrpc":"1.2.6","info":{"title":"t","version":"1"},"methods":[]}',
  '{"name":"x","description":"d","inputSchema":{"type":"object"}}',
  '{"name":"x","capabilities":{}}',
  '{"name":"x","version":"1","skills":[]}',
  '{"format-version":2,"table-uuid":"x","location":"s3","schemas":[],"current-schema-id":0}',
  '{"modelId":"x","input":{},"output":{}}',
  '{"templateId":"x","template":"hello"}',
];
/** Near to those, and kept. */
const near: readonly string[] = [
  '{"name":"x","url":"http://127.0.0.1"}',
  '{"type":"record","name":"card","fields":[],"capabilities":{},"skills":[]}',
  '{"$schema":"http://json-schema.org/draft-07/schema#","name":"x","skills":[]}',
  '{"openapi":"3.0.2","info":{"title":"t","version":"1"},"paths":{},"name":"x","skills":[]}',
  'not a schema of any kind',
  '',
];
const notJson: readonly (readonly [type: string, text: string])[] = [
  ['XML', '<?xml version="1.0"?><a/>'],
  ['XSD', '<?xml version="1.0"?><xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"/>'],
  ['GRAPHQL', 'type Query {\n  me: String\n}\n'],
];

export const hazardArchive: WrittenArchive = {
  contents: [
    content(1),
    content(2),
    content(3, { references: [reference('a'), reference('a', 'other')] }),
    content(4, { references: [reference('a'), reference('b', 'other')] }),
    // The same bytes once more, under another hash: as old releases and converters left it.
    content(5, { text: record('R1'), contentHash: 'f'.repeat(64) }),
    content(6, { references: [reference('x')], contentHash: 'a'.repeat(64) }),
    content(7),
    content(8),
    content(9, { text: 'syntax = "proto3";\nmessage A { string b = 1; }\n' }),
    content(10, { references: [reference('a'), reference('a')] }),
    content(11, { references: [{ groupId: null, artifactId: 'name-bad', version: 'release 1', name: 'n' }] }),
    ...refused.map((text, i) => content(100 + i, { text })),
    ...near.map((text, i) => content(200 + i, { text })),
    ...notJson.map(([, text], i) => content(300 + i, { text })),
    content(50),
    content(2000),
  ],
  versions: [
    version('plain', 2),
    version('rival', 1),
    version('rival-too', 5),
    version('references-clash', 3),
    version('references', 4),
    version('old-hash', 6),
    version('no-content', 999),
    { ...version('same-id', 7), globalId: 1000 },
    { ...version('same-id-too', 8), globalId: 1000 },
    version('same-name', 7, { isLatest: false }),
    version('value-just-fits', 2, { properties: { k: 'x'.repeat(512) } }),
    version('value-too-long', 2, { properties: { k: 'x'.repeat(513) } }),
    version('key-just-fits', 2, { labels: ['x'.repeat(256)] }),
    version('key-too-long', 2, { properties: { ['x'.repeat(257)]: 'v' } }),
    version('label-too-long', 2, { labels: ['x'.repeat(257)] }),
    version('name-too-long', 2, { name: 'x'.repeat(513) }),
    version('description-too-long', 2, { description: 'x'.repeat(1025) }),
    version('labels-clash', 2, { labels: ['Red', 'red'] }),
    version('label-property-clash', 2, { labels: ['Red'], properties: { red: '1' } }),
    version('labels-equal', 2, { labels: ['red', 'red'], properties: { red: '' } }),
    version('clash-before-latest', 2, { labels: ['Red', 'red'], isLatest: false }),
    version('clash-before-latest', 2, { version: '2', versionId: 2 }),
    version('name-bad', 2, { version: 'release 1' }),
    version('name-bad-latest', 2, { isLatest: false }),
    version('name-bad-latest', 2, { version: 'ä', versionId: 2 }),
    version('latest', 7, { createdBy: 'bob' }),
    version('latest', 8, { version: '2', versionId: 2, isLatest: false, createdBy: 'eve' }),
    version('owner', 7, { isLatest: false, createdBy: 'bob' }),
    version('owner', 8, { version: '2', versionId: 2, createdBy: 'eve' }),
    version('group-misspelt', 2, { groupId: 'Default' }),
    version('group-spelt', 2, { groupId: 'default' }),
    version('references-equal', 10),
    version('references-renamed', 11),
    version('made', 2, { groupId: 'only-here' }),
    version('proto', 9, { artifactType: 'PROTOBUF' }),
    version('disabled', 7, { state: 'DISABLED' }),
    ...refused.map((_, i) => version(`refused-${i}`, 100 + i, { artifactType: 'JSON' })),
    ...near.map((_, i) => version(`near-${i}`, 200 + i, { artifactType: 'JSON' })),
    ...notJson.map(([artifactType], i) => version(`not-json-${i}`, 300 + i, { artifactType })),
  ],
  groups: [{ groupId: 'g1', properties: { team: 'a' } }],
  globalRules: [{ ruleType: 'VALIDITY', configuration: 'FULL' }],
  artifactRules: [
    { groupId: null, artifactId: 'plain', type: 'COMPATIBILITY', configuration: 'FULL' },
    { groupId: null, artifactId: 'no-content', type: 'COMPATIBILITY', configuration: 'FULL' },
    { groupId: null, artifactId: 'labels-clash', type: 'COMPATIBILITY', configuration: 'FULL' },
    { groupId: 'Default', artifactId: 'group-misspelt', type: 'COMPATIBILITY', configuration: 'FULL' },
    { groupId: null, artifactId: 'nobody', type: 'COMPATIBILITY', configuration: 'FULL' },
  ],
  comments: [
    { globalId: 1, commentId: '1', value: 'kept' },
    { globalId: 4, commentId: '2', value: 'its version is lost' },
    { globalId: 777, commentId: '3', value: 'of no version' },
    { globalId: 1, commentId: '9', value: 'one of two' },
    { globalId: 5, commentId: '9', value: 'one of two' },
    { globalId: 21, commentId: '10', value: 'of a version that only ids lead to' },
  ],
  others: {
    // The second one of its name.
    'groups/default/artifacts/same-name/versions/1-again.ArtifactVersion.json': JSON.stringify({
      globalId: 1001,
      groupId: null,
      artifactId: 'same-name',
      version: '1',
      versionId: 2,
      artifactType: 'AVRO',
      state: 'ENABLED',
      name: null,
      description: null,
      createdBy: 'ada',
      createdOn: 1_795_828_705_000,
      labels: null,
      properties: null,
      isLatest: true,
      contentId: 8,
    }),
  },
};
