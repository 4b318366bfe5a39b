/**
 * The command line as one CommonJS file, for the single executable: all packages, all libraries, nothing read beside it.
 *
 * What libraries read from their own folders at run time is put in here: the version, and etcd's protocol, which etcd3
 * reads from a .proto file. `import()` becomes `require()`: inside an executable, Node imports nothing but its own
 * modules, while a `require` made for the disk still loads a user's file, also an ES module and also TypeScript.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { build, type Plugin } from 'esbuild';

interface Manifest {
  readonly version: string;
}

/** @returns folders of the packages that are in the bundle, whose licences go with it */
export async function bundle(root: string, entry: string, outfile: string): Promise<readonly string[]> {
  const cli = join(root, 'packages/cli');
  const manifest = JSON.parse(await readFile(join(cli, 'package.json'), 'utf8')) as Manifest;
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node24',
    conditions: ['keyferry-source'],
    minify: true,
    keepNames: true,
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
    supported: { 'dynamic-import': false },
    // Both are looked for only in a checkout that runs TypeScript by itself.
    external: ['ts-node', 'typescript'],
    define: { embeddedManifest: JSON.stringify(manifest), 'import.meta.url': 'moduleUrl' },
    banner: { js: diskRequire },
    plugins: [versionFrom(manifest), etcdProtocol()],
  });
  const folders = Object.keys(metafile.inputs).flatMap(
    (path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? [],
  );
  return [...new Set(folders)].toSorted();
}

/** Takes the place of the executable's own `require`, which knows Node's modules only. */
const diskRequire = `
const moduleUrl = require('node:url').pathToFileURL(process.execPath).href;
require = ((fromDisk, { fileURLToPath }) => (id) => fromDisk(id.startsWith('file:') ? fileURLToPath(id) : id))(
  require('node:module').createRequire(process.execPath), require('node:url'));
`;

function versionFrom({ version }: Manifest): Plugin {
  return {
    name: 'version',
    setup: (of) => {
      of.onLoad({ filter: /keyferry-version\.ts$/ }, () => ({
        contents: `export const keyferryVersion = () => ${JSON.stringify(version)};`,
      }));
    },
  };
}

const loadCall = /\(0, proto_loader_1\.loadSync\)\(`\$\{__dirname\}\/\.\.\/proto\/rpc\.proto`,/;

function etcdProtocol(): Plugin {
  return {
    name: 'etcd-protocol',
    setup: (of) => {
      of.onLoad({ filter: /etcd3[\\/]lib[\\/]connection-pool\.js$/ }, async ({ path }) => {
        const text = await readFile(path, 'utf8');
        if (!loadCall.test(text)) throw new TypeError(`${path} loads its protocol in another way than it did`);
        const protocol = readProtocol(join(dirname(path), '../proto/rpc.proto'), createRequire(path));
        return { contents: text.replace(loadCall, () => `(0, proto_loader_1.fromJSON)(${protocol},`), loader: 'js' };
      });
    },
  };
}

/** With the library and the options that etcd3 itself reads it with. */
function readProtocol(file: string, require: NodeJS.Require): string {
  const { Root } = createRequire(require.resolve('@grpc/proto-loader'))('protobufjs') as {
    readonly Root: new () => { loadSync(file: string, options: object): { toJSON(): object } };
  };
  return JSON.stringify(new Root().loadSync(file, { keepCase: true }).toJSON());
}
