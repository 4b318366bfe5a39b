/**
 * Goal: the Terraform module is valid, makes what its own tests say, and hands out no more than it must.
 * Method: `terraform validate` and `terraform test` on a copy, with the provider that this machine has in a mirror; the
 * provider's calls are mocked, its schema judges. Skipped where there is no terraform, or no provider without a network.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const module = join(import.meta.dirname, '../../../packages/lambda/terraform');
/** Where a filesystem mirror may be: named, where Terraform looks by itself, or beside other optional software. */
const mirrors = [
  process.env['KEYFERRY_TERRAFORM_MIRROR'],
  join(process.env['HOME'] ?? '', '.terraform.d/plugins'),
  '/usr/local/share/terraform/plugins',
  ...(existsSync('/opt') ? readdirSync('/opt').map((name) => join('/opt', name)) : []),
];

/** The folder of the provider in a mirror, below that of its registry; undefined: it is not there. */
function providerIn(mirror: string): string | undefined {
  if (!existsSync(mirror) || !statSync(mirror).isDirectory()) return undefined;
  const registries = readdirSync(mirror).map((registry) => join(mirror, registry, 'hashicorp', 'aws'));
  return registries.find((folder) => existsSync(folder));
}

const mirror = mirrors.find((each) => each !== undefined && each !== '' && providerIn(each) !== undefined);
const hasTerraform = spawnSync('terraform', ['version'], { encoding: 'utf8' }).status === 0;
const skipped = hasTerraform
  ? mirror === undefined
    ? ' (skipped: no mirror holds the AWS provider; name one in KEYFERRY_TERRAFORM_MIRROR)'
    : ''
  : ' (skipped: terraform is not installed)';

/** Providers before 6.20 do not know the newest runtime, and refuse what they do not know. */
function knownRuntime(versions: readonly string[]): string {
  const knowsNode24 = versions.some((version) => {
    const [major = 0, minor = 0] = version.split('.').map(Number);
    return major > 6 || (major === 6 && minor >= 20);
  });
  return knowsNode24 ? 'nodejs24.x' : 'nodejs22.x';
}

/** An archive without entries: what is deployed is no matter here. */
const emptyZip = Buffer.from(['504b0506', '00'.repeat(18)].join(''), 'hex');

it('filters marks out of a stream by the attribute that they have', () => {
  const marks = readFileSync(join(module, '../../adapters/src/dynamodb/streams/head-marks.ts'), 'utf8');
  const attribute = /tokenAttribute = '(\w+)'/.exec(marks)?.[1];
  expect(attribute).toBeDefined();
  expect(readFileSync(join(module, 'stream.tf'), 'utf8')).toContain(
    `${attribute ?? ''} = { S = [{ exists = false }] }`,
  );
});

describe.skipIf(skipped !== '')(`the Terraform module${skipped}`, () => {
  let folder: string;
  let configFile: string;

  const terraform = (directory: string, ...args: string[]) => {
    const { status, stdout, stderr } = spawnSync('terraform', [...args, '-no-color'], {
      cwd: directory,
      encoding: 'utf8',
      env: { ...process.env, TF_CLI_CONFIG_FILE: configFile, TF_IN_AUTOMATION: '1', CHECKPOINT_DISABLE: '1' },
    });
    return { status, output: stdout + stderr };
  };
  const passes = { status: 0 };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'keyferry-terraform-'));
    configFile = join(folder, 'terraformrc');
    const installation = `filesystem_mirror {\n    path    = ${JSON.stringify(mirror)}\n    include = ["hashicorp/*"]\n  }`;
    await writeFile(configFile, `provider_installation {\n  ${installation}\n}\n`);
    await cp(module, join(folder, 'module'), { recursive: true });
    await mkdir(join(folder, 'functions'));
    for (const name of ['plan', 'dispatch', 'backfill', 'verify', 'sweep', 'tail']) {
      await writeFile(join(folder, 'functions', `${name}.zip`), emptyZip);
    }
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('is formatted', () => expect(terraform(module, 'fmt', '-check', '-recursive')).toMatchObject(passes));

  it.each(['.', 'examples/etcd-v2-to-v3'])('validates in %s', (part) => {
    const directory = join(folder, 'module', part);
    expect(terraform(directory, 'init', '-backend=false')).toMatchObject(passes);
    expect(terraform(directory, 'validate')).toMatchObject(passes);
  });

  it('makes what its tests say', () => {
    const versions = readdirSync(providerIn(mirror ?? '') ?? '');
    const directory = join(folder, 'module');
    terraform(directory, 'init', '-backend=false');
    const variables = [`functions_dir=${join(folder, 'functions')}`, `runtime=${knownRuntime(versions)}`];
    const tested = terraform(directory, 'test', ...variables.flatMap((each) => ['-var', each]));
    expect(tested.output).toContain('Success!');
    expect(tested).toMatchObject(passes);
  });
});
