/**
 * Goal: programs can rely on what they read: one document on stdout, events one a line, and no secret anywhere.
 * Method: every command with --json, succeeding and failing; a server that throws a password back; values as canaries.
 */
import { createServer } from 'node:http';
import { readdir, readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { rows, Workbench } from './workbench.ts';

let bench: Workbench;
beforeEach(async () => {
  bench = await Workbench.create([...rows(1500), { key: '/config/db/password', value: 'canary-value-7d1f' }]);
});
afterEach(() => bench.remove());

/** Outcomes by key, each told once. */
async function settledKeys(file: string): Promise<ReadonlyMap<string, string>> {
  const events = (await bench.readEvents(file)).filter(({ type }) => type === 'key.settled');
  const told = events.map(({ data }) => data as { readonly key: { readonly text: string }; readonly outcome: string });
  const settled = new Map(told.map(({ key, outcome }) => [key.text, outcome]));
  expect(told.length).toBe(settled.size);
  return settled;
}

describe('--json', () => {
  it.each([
    [['validate'], 'keyferry.validate', 0],
    [['plan', 'config'], 'keyferry.plan', 0],
    [['status'], 'keyferry.status', 0],
    [['locks', 'list'], 'keyferry.locks', 0],
    [['state', 'list'], 'keyferry.state-list', 0],
    [['state', 'upgrade'], 'keyferry.state-upgraded', 0],
    [['report', 'config'], 'keyferry.error', 64],
    [['finalize', 'config', '--yes'], 'keyferry.error', 4],
    [['reconcile', 'config', '--yes'], 'keyferry.error', 4],
    [['state', 'forget', 'config', '--yes'], 'keyferry.error', 64],
    [['runs', 'list'], 'keyferry.runs', 0],
    [['explain'], 'keyferry.codes', 0],
    [['adapters', 'list'], 'keyferry.adapters', 0],
    [['schema', 'config'], 'keyferry.schema', 0],
    [['apply', 'config', '--yes'], 'keyferry.apply', 0],
    [['plan', 'nothing'], 'keyferry.error', 64],
    [['plan'], 'keyferry.error', 64],
    [['plann'], 'keyferry.error', 64],
    [['verify', 'config'], 'keyferry.error', 4],
    [['locks', 'show', 'lck_none'], 'keyferry.error', 64],
    [['runs', 'show', 'run_none'], 'keyferry.error', 64],
    [['runs', 'throttle', 'config'], 'keyferry.error', 64],
    [['runs', 'pause', 'config'], 'keyferry.error', 4],
    [['runs', 'retry', 'config'], 'keyferry.error', 4],
    [['show', 'none.kfplan'], 'keyferry.error', 1],
    [['validate', '-c', 'none.yaml'], 'keyferry.error', 78],
  ])('%j prints one document, %s, with exit code %i', async (args, format, want) => {
    const { code, document } = await bench.json(args);
    expect(Object.keys(document).slice(0, 4)).toEqual(['format', 'formatVersion', 'keyferryVersion', 'warnings']);
    expect(document).toMatchObject({ format, formatVersion: '1.0', warnings: [] });
    expect(code).toBe(want);
    if (format === 'keyferry.error') expect(document['error']).toMatchObject({ exitCode: want });
  });
});

describe('--events', () => {
  it('tell the run from its version to its end, next to the result', async () => {
    await bench.run(['plan', 'config', '--out', 'a.kfplan']);
    const { code, stdout } = await bench.run([
      'apply',
      'a.kfplan',
      '--events',
      'events.ndjson',
      '--log-file',
      'log.ndjson',
    ]);
    expect([code, stdout]).toEqual([0, expect.stringContaining('both sides agree')]);
    const events = await bench.readEvents('events.ndjson');
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
    expect(events[0]).toMatchObject({ type: 'version', data: { format: 'keyferry.events' } });
    expect(events.at(-1)).toMatchObject({
      type: 'end',
      migration: 'config',
      run: /^run_/,
      data: { exitCode: 0 },
    } as never);
    expect(events.map(({ type }) => type)).toContain('apply.started');
    expect(events.map(({ level }) => level)).not.toContain('debug');
    expect((await bench.readEvents('log.ndjson')).map(({ type }) => type)).toContain('chunk.claimed');
  });

  it('tell of each key with --events-detail keys, once and with its outcome, and count as the result does', async () => {
    const detail = ['--events-detail', 'keys', '--events'];
    const { document } = await bench.json(['apply', 'config', '--yes', ...detail, 'apply.ndjson']);
    const settled = await settledKeys('apply.ndjson');
    expect(settled.size).toBe(1501);
    expect(new Set(settled.values())).toEqual(new Set(['written']));
    expect(document).toMatchObject({ counts: { written: 1501 } });
    await bench.run(['rollback', 'config', '--yes', ...detail, 'rollback.ndjson']);
    const removed = await settledKeys('rollback.ndjson');
    expect([...removed.keys()].toSorted()).toEqual([...settled.keys()].toSorted());
    expect(new Set(removed.values())).toEqual(new Set(['removed']));
  });

  it('take no detail where there is nowhere to tell it', async () => {
    const { code, stderr } = await bench.run(['apply', 'config', '--yes', '--events-detail', 'keys']);
    expect(code).toBe(64);
    expect(stderr).toContain('--events FILE');
  });

  it('go to stdout with -, and the result to stderr', async () => {
    const { stdout, stderr } = await bench.run(['plan', 'config', '--events', '-']);
    const types = stdout
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { type: string }).type);
    expect([types[0], types.at(-1)]).toEqual(['version', 'end']);
    expect(stderr).toContain('to create');
  });
});

describe('secrets', () => {
  const everything = async (): Promise<string> => {
    const files = await readdir(bench.folder, { recursive: true, withFileTypes: true });
    const texts = files
      .filter((entry) => entry.isFile() && !['source.ndjson', 'target.db', 'target.db-wal'].includes(entry.name))
      .map(async (entry) => readFile(join(entry.parentPath, entry.name), 'latin1'));
    return (await Promise.all(texts)).join('');
  };

  it('values are in no output and no file but the target', async () => {
    const common = ['--log-file', 'log.ndjson', '--verbose'];
    const printed = [
      await bench.run(['plan', 'config', '--out', 'a.kfplan', '--events', 'p.ndjson', ...common]),
      await bench.run(['show', 'a.kfplan', '--only', 'create', ...common]),
      await bench.run(['apply', 'a.kfplan', '--events', 'a.ndjson', ...common]),
      await bench.run(['verify', 'config', ...common]),
      await bench.run(['status', ...common]),
      await bench.run(['runs', 'list', ...common]),
      await bench.run(['runs', 'show', 'config', '--dead-letters', ...common]),
      await bench.run(['runs', 'retry', 'config', ...common]),
    ];
    expect(printed.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
    const all = printed.map(({ stdout, stderr }) => stdout + stderr).join('') + (await everything());
    expect(all).toContain('/config/db/password');
    expect(all).not.toContain('canary-value-7d1f');
  });

  it('a password that a server throws back is taken out of every output', async () => {
    const password = 'canary-p4ssw0rd-"x';
    const server = createServer((request, response) => {
      response.statusCode = 401;
      const seen = request.headers.authorization ?? '';
      response.end(JSON.stringify({ errorCode: 110, message: 'no', cause: `${seen} ${password}`, index: 1 }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const store = `  old: { kind: etcd-v2, endpoints: [http://127.0.0.1:${port}], auth: { user: root, password: { env: ETCD_PASSWORD } } }`;
    await bench.write('keyferry.yaml', (await bench.read('keyferry.yaml')).replace(/^ {2}old: .*$/m, store));
    const env = { ETCD_PASSWORD: password };
    try {
      const printed = [
        await bench.run(['plan', 'config', '--verbose', '--log-file', 'log.ndjson', '--events', 'e.ndjson'], env),
        await bench.run(['plan', 'config', '--json'], env),
      ];
      expect(printed.map(({ code }) => code)).toEqual([1, 1]);
      const all = printed.map(({ stdout, stderr }) => stdout + stderr).join('') + (await everything());
      expect(all).toContain('store.auth-failed');
      const basic = Buffer.from(`root:${password}`).toString('base64');
      for (const canary of ['canary-p4ssw0rd', basic]) expect(all).not.toContain(canary);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });
});
