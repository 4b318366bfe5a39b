/**
 * Goal: a short command stays short: it loads what it is about, and nothing of what its configuration does not name.
 * Method: the built program, which says at its end what it has loaded: files of the bundle, and Node's own modules. Sizes and
 * names, no times, so that it holds on any machine. What exceeds a size here has been loaded for every user of that command.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rows, Workbench } from './workbench.ts';

/** Loaded before the program. */
const probe = `
  import { writeFileSync } from 'node:fs';
  import { registerHooks } from 'node:module';
  const files = [];
  registerHooks({ load: (url, context, next) => { files.push(url); return next(url, context); } });
  const before = new Set(process.moduleLoadList);
  process.on('exit', () => {
    const builtins = process.moduleLoadList.filter((each) => each.startsWith('NativeModule ') && !before.has(each));
    writeFileSync(process.env.LOADED, JSON.stringify({ files, builtins: builtins.map((each) => each.slice(13)) }));
  });
`;

interface Loaded {
  /** Texts of the files of the bundle, by name. */
  readonly bundle: ReadonlyMap<string, string>;
  /** Of the package and its libraries, as they lie. */
  readonly others: readonly string[];
  readonly builtins: readonly string[];
}

let bench: Workbench;
beforeAll(async () => {
  bench = await Workbench.create(rows(5));
  await writeFile(bench.path('probe.mjs'), probe);
});
afterAll(() => bench.remove());

async function loadedBy(...args: readonly string[]): Promise<Loaded> {
  const loaded = bench.path('loaded.json');
  const { code, stderr } = await bench.run(args, {
    NODE_OPTIONS: `--import=${pathToFileURL(bench.path('probe.mjs')).href}`,
    LOADED: loaded,
  });
  expect([code, stderr]).toEqual([0, expect.not.stringContaining('Error')]);
  const { files, builtins } = JSON.parse(await readFile(loaded, 'utf8')) as {
    readonly files: readonly string[];
    readonly builtins: readonly string[];
  };
  const paths = files.filter((url) => url.startsWith('file:')).map((url) => fileURLToPath(url));
  const bundle = new Map<string, string>();
  for (const path of paths) if (path.includes('/bundle/')) bundle.set(basename(path), await readFile(path, 'utf8'));
  const others = paths.filter((path) => !path.includes('/bundle/') && !/probe\.mjs|bin\/keyferry\.js$/.test(path));
  return { bundle, others, builtins };
}

/** Networks, other processes and threads, questions on a terminal. (`net` is there for stdout, which is a pipe here.) */
const heavyBuiltins = ['child_process', 'dgram', 'http', 'http2', 'https', 'readline', 'tls', 'worker_threads'];
const heavyLibraries = ['@aws-sdk', '@grpc', '@inquirer', 'iconv-lite', 'log-update', 'pg-protocol', 'protobufjs'];

describe.each([
  { command: ['validate'], kilobytesMax: 1500, filesMax: 20 },
  { command: ['plan', 'config', '--out', 'config.kfplan'], kilobytesMax: 1950, filesMax: 34 },
  { command: ['apply', 'config.kfplan'], kilobytesMax: 1950, filesMax: 34 },
  { command: ['verify', 'config'], kilobytesMax: 1950, filesMax: 34 },
  { command: ['status', 'config'], kilobytesMax: 1950, filesMax: 34 },
])('$command between files', ({ command, kilobytesMax, filesMax }) => {
  let loaded: Loaded;
  beforeAll(async () => {
    loaded = await loadedBy(...command);
  });

  it('loads no file but those of the bundle', () => {
    expect(loaded.others).toEqual([]);
  });

  it('loads no client of a store that is not named', () => {
    const texts = [...loaded.bundle.values()].join('\n');
    expect(texts.length, 'the bundle was seen').toBeGreaterThan(100_000);
    expect(heavyLibraries.filter((name) => texts.includes(`node_modules/${name}`))).toEqual([]);
  });

  it('loads nothing of Node for networks, processes, threads and terminals', () => {
    expect(heavyBuiltins.filter((name) => loaded.builtins.includes(name))).toEqual([]);
    expect(loaded.builtins.filter((name) => /undici|webcrypto/.test(name))).toEqual([]);
  });

  it('loads no more of the bundle than it did', () => {
    const bytes = [...loaded.bundle.values()].reduce((sum, text) => sum + text.length, 0);
    expect(bytes / 1000).toBeLessThan(kilobytesMax);
    expect(loaded.bundle.size).toBeLessThan(filesMax);
  });
});
