/**
 * Goal: a file is a source like any other, and a file that is not whole or not right is refused with its line.
 * Method: core's suite on NDJSON in random order, plain and packed; then awkward and broken files by hand.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { loadV2Keys, request, serverOrSkip, startEtcd, v2KeyUrl } from '@keyferry/servers';
import { keyForDisplay, keyFromText, keyToText, type Key, type SourceStore } from '@keyferry/core';
import { sourceContract, type SeedRecord } from '@keyferry/core/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openFileStore, type FileFormat } from '../../src/file/index.ts';
import { expectFailure, keysOf, openSource, readPrefix } from './etcd-v2-fixture.ts';

const nowMs = (): number => Date.parse('2026-01-01T00:00:00Z');
let directory: string;
let files = 0;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keyferry-file-'));
});
afterAll(() => rm(directory, { recursive: true }));

async function fileOf(content: string | Uint8Array): Promise<string> {
  files += 1;
  const file = join(directory, `records-${files}`);
  await writeFile(file, content);
  return file;
}

const open = (file: string, format: FileFormat): SourceStore => openFileStore({ name: 'dump', file, format, nowMs });

function lineOf({ key, value, ttlMs }: SeedRecord): string {
  const text = keyToText(key);
  return JSON.stringify({
    key: text ?? { base64: Buffer.from(key, 'latin1').toString('base64') },
    value: { base64: Buffer.from(value).toString('base64') },
    ...(ttlMs !== null && { expiresAt: new Date(nowMs() + ttlMs).toISOString() }),
  });
}

for (const { name, pack } of [
  { name: 'a file of NDJSON', pack: (text: string) => Buffer.from(text) },
  { name: 'a packed file of NDJSON', pack: (text: string) => gzipSync(text) },
]) {
  sourceContract(name, {
    key: (text) => keyFromText(`/contract/${text}`),
    nowMs,
    open: async (records) => {
      const lines = records.map(lineOf).toSorted((a, b) => (digest(a) < digest(b) ? -1 : 1));
      const file = await fileOf(pack(lines.map((line) => `${line}\n`).join('')));
      return {
        store: open(file, 'ndjson'),
        openAnother: () => Promise.resolve(open(file, 'ndjson')),
        close: () => Promise.resolve(),
      };
    },
  });
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

describe('NDJSON', () => {
  it('may lack its last line end, begin with a byte order mark, and have blank lines and line ends of Windows', async () => {
    const store = open(await fileOf('\ufeff{"key":"/b","value":"1"}\r\n\n \t\n{"key":"/a","value":""}'), 'ndjson');
    expect(keysOf((await readPrefix(store, '/')).records)).toEqual(['/a', '/b']);
  });

  it('takes version and expiry from the line', async () => {
    const lines = [
      '{"key":"/a","value":"1","version":"v7","expiresAt":"2099-01-01T00:00:00+02:00"}',
      '{"key":"/b","value":"1"}',
      '{"key":"/c","value":"1","expiresAt":"2026-01-01T00:00:00Z"}',
      '{"key":"/d","value":"1","expiresAt":null}',
    ];
    const { records, notCarried } = await readPrefix(open(await fileOf(lines.join('\n')), 'ndjson'), '/');
    expect(records[0]).toMatchObject({ version: 'v7', expiresAtMs: Date.parse('2098-12-31T22:00:00Z') });
    expect(records[1]?.version).toMatch(/^[0-9a-f]{24}$/);
    expect(keysOf(records)).toEqual(['/a', '/b', '/d']);
    expect(notCarried).toEqual([{ key: '/c', reason: 'ttl.expired' }]);
  });

  const good = '{"key":"/a","value":"1"}';
  it.each([
    { name: 'a line that is not JSON', line: '{"key":"/b",', says: /not JSON/ },
    { name: 'a list', line: '[]', says: /not an object/ },
    { name: 'no key', line: '{"value":"1"}', says: /"key" is neither/ },
    { name: 'no value', line: '{"key":"/b"}', says: /"value" is neither/ },
    { name: 'a number for a value', line: '{"key":"/b","value":1}', says: /"value" is neither/ },
    { name: 'base64 that is none', line: '{"key":"/b","value":{"base64":"a"}}', says: /"value" is neither/ },
    { name: 'half of a character', line: String.raw`{"key":"/\ud800","value":""}`, says: /"key" is neither/ },
    {
      name: 'a mistyped field',
      line: '{"key":"/b","value":"1","expires":"2099-01-01T00:00:00Z"}',
      says: /unknown field "expires"/,
    },
    {
      name: 'a date without a time',
      line: '{"key":"/b","value":"1","expiresAt":"2099-01-01"}',
      says: /"expiresAt" is not a time/,
    },
    {
      name: 'an expiry without a zone',
      line: '{"key":"/b","value":"1","expiresAt":"2099-01-01T00:00:00"}',
      says: /"expiresAt" is not a time/,
    },
    {
      name: 'a version that is a number',
      line: '{"key":"/b","value":"1","version":7}',
      says: /"version" is not a text/,
    },
    { name: 'a key a second time', line: '{"key":{"base64":"L2E="},"value":"2"}', says: /the key \/a is there twice/ },
  ])('with $name is refused with the line', async ({ line, says }) => {
    const store = open(await fileOf(`${good}\n\n${line}\n`), 'ndjson');
    await expectFailure(readPrefix(store, '/'), 'file.record-invalid', new RegExp(`line 3 .*${says.source}`));
  });

  it('with bytes that are not UTF-8 is refused with the line', async () => {
    const bytes = Buffer.from(`${good}\n{"key":"/b","value":"?"}\n`);
    bytes[bytes.indexOf('?')] = 0xff;
    await expectFailure(readPrefix(open(await fileOf(bytes), 'ndjson'), '/'), 'file.record-invalid', /line 2 .*UTF-8/);
  });
});

describe('a file', () => {
  it('has the digest of its content as position, packed or not', async () => {
    const text = '{"key":"/a","value":"1"}\n';
    const store = open(await fileOf(text), 'ndjson');
    expect(await store.head()).toBe(`sha256:${digest(text)}`);
    expect(await open(await fileOf(gzipSync(text)), 'ndjson').head()).toBe(`sha256:${digest(text)}`);
    expect(await open(await fileOf(`${text} `), 'ndjson').head()).not.toBe(`sha256:${digest(text)}`);
  });

  it('that is packed and cut short is unreadable', async () => {
    const lines = Array.from({ length: 100 }, (_, i) => `{"key":"/${i}","value":"1"}\n`);
    const packed = gzipSync(lines.join(''));
    const store = open(await fileOf(packed.subarray(0, packed.length - 9)), 'ndjson');
    await expectFailure(store.head(), 'file.unreadable', /end of file/);
    await expectFailure(readPrefix(store, '/'), 'file.unreadable', /end of file/);
  });

  it('that is not there, or is a directory, is unreadable', async () => {
    for (const file of [join(directory, 'none'), directory]) {
      await expectFailure(open(file, 'ndjson').head(), 'file.unreadable', /ENOENT|EISDIR|regular file/);
      await expectFailure(readPrefix(open(file, 'ndjson'), '/'), 'file.unreadable', /ENOENT|EISDIR|regular file/);
    }
  });

  it('says its format and size', async () => {
    const file = await fileOf('{"key":"/a","value":"1"}\n');
    expect(await open(file, 'ndjson').describe()).toMatchObject({ kind: 'file', version: 'ndjson, 25 bytes' });
  });
});

describe('a saved answer of etcd v2', () => {
  it('that is broken is refused with the line', async () => {
    const text =
      '{\n "action": "get",\n "node": {\n  "dir": true,\n  "nodes": [\n   {"key": "/a", "modifiedIndex": 1}\n ]}}';
    const store = open(await fileOf(text), 'etcd-v2-json');
    await expectFailure(readPrefix(store, '/'), 'file.record-invalid', /line 6 .*either a "value" or "dir"/);
    const cut = open(await fileOf(text.slice(0, 60)), 'etcd-v2-json');
    await expectFailure(readPrefix(cut, '/'), 'file.record-invalid', /line \d .*ends too early/);
  });

  it('that is an error answer says which', async () => {
    const text =
      '{"errorCode":110,"message":"The request requires user authentication","cause":"Insufficient credentials","index":0}\n';
    const store = open(await fileOf(text), 'etcd-v2-json');
    await expectFailure(readPrefix(store, '/'), 'file.record-invalid', /error answer: 110 The request requires/);
  });
});

const available = await serverOrSkip('etcd-3.4');

describe.skipIf(!available.ok)(`a saved answer of a real etcd v2${available.note}`, () => {
  it('holds what the server shows', async () => {
    await using server = await startEtcd({ version: '3.4', enableV2: true });
    const endpoint = server.endpoints[0] ?? '';
    const keys: Key[] = Array.from({ length: 300 }, (_, i) => keyFromText(`/saved/d${i % 7}/é${i}-<&>`));
    await loadV2Keys(
      endpoint,
      keys.map((key, i) => ({
        key: keyForDisplay(key),
        value: `v${i}`,
        ...(i % 5 === 0 && { ttlSeconds: 3_000_000_000 }),
      })),
    );
    const { body } = await request(`${v2KeyUrl(endpoint, '/')}?recursive=true`);
    const live = openSource([endpoint]);
    const whole = await readPrefix(live, '/saved/');
    expect(whole.records).toHaveLength(300);
    for (const content of [body, gzipSync(body), JSON.stringify(JSON.parse(body), null, 2)]) {
      const saved = await readPrefix(open(await fileOf(content), 'etcd-v2-json'), '/saved/');
      expect(saved).toEqual(whole);
    }
    await live.close();
  });
});
