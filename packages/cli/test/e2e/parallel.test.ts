/**
 * Goal: a registry of 2.6 moves to 3.x while its clients go on: rehearsed on throw-away servers, killed on its way, back with what
 * 3.x accepted and with 3.x down in between, undone where somebody writes past the balancers, and to the end.
 * Method: real registries behind a real nginx and a real HAProxy; the requests of 2.6 libraries through both during the whole
 * of it; the built binary.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { request, waitUntil, type RegistryLoad } from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DocumentSchemas } from './document-schemas.ts';
import { RegistryStage } from './registry-stage.ts';

const schemas = new DocumentSchemas(async (name) => (await stage.run('schema', name)).stdout);

const migration = { confirm: ['switch'], smoke: ['true'], settings: 'registry-2.env' };

let stage: RegistryStage;
let clients: readonly RegistryLoad[];
let balancersBefore: readonly string[];
let beforeTheOutage: ReadonlyMap<number, string>;

beforeAll(async () => {
  stage = await RegistryStage.create({
    versions: 10,
    settings: migration,
  });
  await writeFile(join(stage.folder, 'registry-2.env'), 'AUTH_ENABLED=false\nREGISTRY_DATASOURCE_PASSWORD=hush\n');
  await addRole('alice', 'ADMIN');
  balancersBefore = await balancerFiles();
  clients = await stage.startClients();
}, 300_000);
afterAll(() => stage.close());

const balancerFiles = (): Promise<readonly string[]> =>
  Promise.all(
    [join(stage.nginx.configDirectory, 'conf.d/registry.conf'), stage.haproxy.configFile].map((file) =>
      readFile(file, 'utf8'),
    ),
  );

/** What no archive holds. */
async function addRole(principalId: string, role: string): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ principalId, principalName: principalId, role });
  const at = `${stage.old.endpoint}/apis/registry/v2/admin/roleMappings`;
  expect((await request(at, { method: 'POST', headers, body })).status).toBeLessThan(300);
}

interface Planned {
  readonly findings: readonly { readonly code: string; readonly detail: string; readonly fix: string }[];
  readonly settings: { readonly into: string };
}

interface Rehearsed {
  readonly source: { readonly where: string };
  readonly target: { readonly where: string };
  readonly phases: readonly { readonly phase: string }[];
}

/** Names and times; clients only read and write versions of the one that they use. */
async function artifactsOf(endpoint: string): Promise<readonly string[]> {
  const reply = await request(`${endpoint}/apis/registry/v2/search/artifacts?limit=500&orderby=createdOn`);
  const { artifacts } = JSON.parse(reply.body) as { readonly artifacts: readonly { readonly id: string }[] };
  return artifacts.map(({ id }) => id);
}

interface Status {
  readonly course: string;
  readonly phase: string;
  readonly traffic: string;
  readonly next: string;
  readonly wayBack: string | null;
  readonly passed: readonly { readonly phase: string }[];
  readonly evidence: readonly { readonly phase: string; readonly name: string }[];
  readonly frozenMs: number;
  readonly estimatedFreezeMs: number;
  readonly freezeParts: readonly { readonly measuredMs: number | null }[];
  readonly rollback: readonly { readonly phase: string; readonly now: boolean; readonly steps: readonly string[] }[];
}

async function status(): Promise<Status> {
  return (await stage.run('status', 'registry', '--json')).document as Status;
}

/** Starts an apply, and ends it by SIGKILL as soon as it says that it began the phase, or took a sample of the soak. */
async function killIn(phase: string, ...args: readonly string[]): Promise<void> {
  const events = join(stage.folder, `${phase}.ndjson`);
  const running = stage.start('apply', 'registry.kfplan', '--events', events, ...accepted, ...args);
  let ended = false;
  void running.ended.then(() => (ended = true));
  await waitUntil(async () => {
    const lines = await readFile(events, 'utf8').catch(() => '');
    return ended || lines.includes(phase === 'soak' ? '"soak.sampled"' : `"phase":"${phase}"`);
  }, 120_000);
  running.kill('SIGKILL');
  const { exitCode, stderr } = await running.output;
  expect({ phase, exitCode, stderr: exitCode === null ? '' : stderr }).toEqual({ phase, exitCode: null, stderr: '' });
}

/** Through a balancer, as a client of 2.6. */
async function write(url: string, artifact: string): Promise<number> {
  const headers = { 'content-type': 'application/json', 'x-registry-artifactid': artifact };
  const body = JSON.stringify({ type: 'record', name: artifact, fields: [] });
  const reply = await request(`${url}/apis/registry/v2/groups/late/artifacts`, { method: 'POST', headers, body });
  expect(reply.status).toBe(200);
  return (JSON.parse(reply.body) as { globalId: number }).globalId;
}

/** @returns ids to names */
async function writeThroughBoth(name: string): Promise<ReadonlyMap<number, string>> {
  const names = stage.urls.map((url, at) => [url, `${name}${at}`] as const);
  return new Map(await Promise.all(names.map(async ([url, each]) => [await write(url, each), each] as const)));
}

async function expectHeld(endpoint: string, ids: ReadonlyMap<number, string>): Promise<void> {
  for (const [id, name] of ids) {
    const reply = await request(`${endpoint}/apis/registry/v2/ids/globalIds/${id}`);
    expect(JSON.parse(reply.body)).toMatchObject({ name });
  }
}

/** Stops them: no read failed, and writes were refused with 405 alone. */
async function expectServed(loads: readonly RegistryLoad[]): Promise<void> {
  for (const { requests, readsFailed, writesFailed, writesRefused, failures } of await Promise.all(
    loads.map((each) => each.stop()),
  )) {
    const found = { readsFailed, writesFailed, failures: [...failures].filter(([what]) => / \d+$/.test(what)) };
    expect(found).toEqual({ readsFailed: 0, writesFailed: 0, failures: [] });
    expect(requests).toBeGreaterThan(writesRefused);
    expect(writesRefused).toBeGreaterThan(0);
  }
}

/** Somebody who knows the address of 2.6 itself. */
async function writePast(stop: AbortSignal): Promise<void> {
  for (let i = 0; !stop.aborted; i += 1) {
    await write(stage.old.endpoint, `PastTheBalancers${i}`);
    await wait(200);
  }
}

/** A request of an API that 3.x does not have is in the log of one balancer. */
const accepted = ['--accept', 'registry.api-gone'];

/** For whole migrations, on a machine that is slow and busy. */
const patience = 600_000;

describe('strategy parallel', { timeout: patience }, () => {
  it('is rehearsed on servers that are started for it and end with it, and production is as it was', async () => {
    const before = await artifactsOf(stage.old.endpoint);
    const places = await stage.distributions();
    const rehearsed = await stage.run('rehearse', 'registry', ...places, '--json');
    const { exitCode, stderr } = rehearsed;
    expect({ exitCode, stderr: exitCode === 0 ? '' : stderr }).toEqual({ exitCode: 0, stderr: '' });
    const found = rehearsed.document as Rehearsed;
    expect(await schemas.problems('rehearsal', found)).toEqual([]);
    expect(found).toMatchObject({
      format: 'keyferry.rehearsal',
      passed: true,
      losses: { unforeseenTotal: 0 },
      besides: {
        carried: expect.arrayContaining(['role alice']),
        notCarried: [{ what: 'owner of implied/hidden' }],
      },
      wayBack: { kind: 'replayed', written: 2, cameBack: 2 },
      notRehearsed: expect.not.arrayContaining([expect.stringMatching(/^(roles|the configuration of)/)]),
    });
    expect(found.phases.map(({ phase }) => phase)).toEqual(expect.arrayContaining(['freeze', 'compare', 'soak']));
    for (const { where } of [found.source, found.target]) await expect(request(where)).rejects.toThrow('ECONNREFUSED');
    expect(await artifactsOf(stage.old.endpoint)).toEqual(before);
    expect(await balancerFiles()).toEqual(balancersBefore);
    expect(await status()).toMatchObject({ course: null, traffic: 'v2-rw' });
    await writeFile(join(stage.folder, 'rehearsal.json'), rehearsed.stdout);
    const planned = await stage.run('plan', 'registry', '--rehearsal', 'rehearsal.json', '--json');
    expect(await schemas.problems('parallel-plan', planned.document)).toEqual([]);
    const { freeze } = planned.document as {
      readonly freeze: { readonly parts: readonly { readonly basis: string }[] };
    };
    expect(freeze.parts.filter(({ basis }) => basis === 'rehearsed')).toHaveLength(2);
  });

  it('tells before it begins what clients would notice of 3.x, and makes its settings of those of 2.6', async () => {
    await request(`${stage.urls[0]}/apis/registry/v1/artifacts`);
    await request(`${stage.urls[0]}/apis/registry/v2/groups/nobody/artifacts/nothing`, { method: 'DELETE' });
    const planned = await stage.run('plan', 'registry', '--json');
    const { findings, settings } = planned.document as Planned;
    const of = (code: string) => findings.find((each) => each.code === code);
    expect(of('registry.api-gone')?.detail).toContain('GET /apis/registry/v1 (1, edge');
    expect(of('registry.deletes-off')?.fix).toContain('apicurio.rest.deletion.artifact.enabled=true');
    expect(of('registry.settings-moved')?.detail).toContain('AUTH_ENABLED (quarkus.oidc.tenant-enabled)');
    const made = await readFile(resolve(stage.folder, settings.into), 'utf8');
    expect(made).toContain('QUARKUS_OIDC_TENANT_ENABLED=false\n');
    expect(planned.stdout + made).not.toContain('hush');
  });

  it('is not rehearsed on what the configuration names', async () => {
    const refused = await stage.run('rehearse', 'registry', '--v2', stage.old.endpoint, '--v3', 'http://127.0.0.1:9');
    expect({ exitCode: refused.exitCode, stderr: refused.stderr }).toMatchObject({
      exitCode: 64,
      stderr: expect.stringContaining('is in the configuration'),
    });
  });

  it('begins nothing over a yes to a phase that waits for none', async () => {
    const refused = await stage.run('apply', 'registry', '--yes', '--confirm-phase', 'freeze', ...accepted);
    expect({ exitCode: refused.exitCode, stderr: refused.stderr }).toMatchObject({
      exitCode: 64,
      stderr: expect.stringMatching(/phase freeze of migration registry waits for nobody's yes; these do: switch/),
    });
    expect(await balancerFiles()).toEqual(balancersBefore);
  });

  it('leaves balancers and registries as they were when one of the balancers is not reloaded', async () => {
    const file = join(stage.folder, 'keyferry.yaml');
    const config = JSON.parse(await readFile(file, 'utf8')) as { balancers: { inside: { reload: string } } };
    config.balancers.inside.reload = 'echo no such unit >&2; exit 5';
    await writeFile(file, JSON.stringify(config));
    await stage.run('plan', 'registry', '--out', 'unreloaded.kfplan');
    const { exitCode, stderr } = await stage.run('apply', 'unreloaded.kfplan', ...accepted);
    expect({ exitCode, stderr }).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(/balancer\.refused[^]*no such unit/),
    });
    expect(await status()).toMatchObject({ course: 'forward', phase: 'prepare', traffic: 'v2-rw' });
    await stage.configure(migration);
    expect(await stage.run('rollback', 'registry', '--yes')).toMatchObject({ exitCode: 0 });
    expect(await balancerFiles()).toEqual(balancersBefore);
  });

  it('undoes the freeze when somebody writes to 2.6 past the balancers', async () => {
    await stage.run('plan', 'registry', '--out', 'first.kfplan');
    const stop = new AbortController();
    const writer = writePast(stop.signal);
    const { exitCode, stderr } = await stage.run('apply', 'first.kfplan', ...accepted);
    stop.abort();
    await writer;
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('parallel.undone') });
    expect(await status()).toMatchObject({
      course: 'rolled-back',
      // By a list that did not stand still, or by an export that is another than the walk.
      phase: expect.stringMatching(/^(baseline|export)$/),
      traffic: 'v2-rw',
    });
    expect(await balancerFiles()).toEqual(balancersBefore);
  });

  it('goes on after SIGKILL in the midst of it, and waits for a person before the switch', async () => {
    const { exitCode } = await stage.run('plan', 'registry', '--out', 'registry.kfplan');
    expect(exitCode).toBe(0);
    for (const phase of ['prepare', 'foresee', 'freeze', 'baseline', 'export', 'import', 'compare', 'read-on-3']) {
      await killIn(phase);
    }
    const waiting = await stage.run('apply', 'registry.kfplan', ...accepted);
    expect({ exitCode: waiting.exitCode, stderr: waiting.stderr }).toMatchObject({
      exitCode: 4,
      stderr: expect.stringContaining('--confirm-phase switch'),
    });
    expect(await status()).toMatchObject({
      course: 'forward',
      phase: 'switch',
      traffic: 'v3-ro',
      next: 'keyferry apply registry.kfplan --confirm-phase switch',
    });
    await killIn('switch', '--confirm-phase', 'switch');
    for (const phase of ['verify', 'smoke']) await killIn(phase);
    await killIn('soak', '--follow');
    const applied = await stage.run('apply', 'registry.kfplan', '--follow');
    expect({ exitCode: applied.exitCode, stderr: applied.exitCode === 0 ? '' : applied.stderr }).toEqual({
      exitCode: 0,
      stderr: '',
    });
    const now = await status();
    expect(now).toMatchObject({ course: 'forward', phase: 'decommission', traffic: 'v3-rw' });
    expect(now.evidence.map(({ phase, name }) => `${phase} ${name}`)).toEqual(
      expect.arrayContaining(['compare comparison', 'export completeness', 'freeze leaks', 'smoke command']),
    );
    expect(now.frozenMs).toBeGreaterThan(0);
    expect(now.rollback.find((row) => row.now)?.steps).toContain('replay');
  });

  it('says what to do when 3.x is down after the switch, changes nothing, and has the way back once 3.x is there again', async () => {
    beforeTheOutage = await writeThroughBoth('BeforeTheOutage');
    await expectServed(clients);
    await stage.fresh.stop();
    const finalized = await stage.run('finalize', 'registry', '--yes');
    expect(finalized).toMatchObject({ stderr: expect.stringContaining('3.x does not answer that it is ready') });
    const refused = await stage.run('rollback', 'registry', '--yes');
    expect({ exitCode: refused.exitCode, stderr: refused.stderr }).toMatchObject({
      exitCode: 4,
      stderr: expect.stringMatching(/parallel\.target-silent[^]*nothing was changed[^]*--accept registry\.writes-lost/),
    });
    const now = await status();
    expect(now).toMatchObject({ course: 'forward', phase: 'decommission', traffic: 'v3-rw' });
    expect(now).toMatchObject({ next: 'keyferry finalize registry', wayBack: 'keyferry rollback registry' });
    await stage.startFreshAgain();
    await expectHeld(stage.urls[0] ?? '', beforeTheOutage);
    clients = await stage.startClients();
  });

  it('goes back days later with what 3.x accepted, under the same ids, and leaves the balancers as they were', async () => {
    const since = await writeThroughBoth('Accepted');
    const { exitCode, stderr } = await stage.run('rollback', 'registry', '--yes');
    expect({ exitCode, stderr: exitCode === 0 ? '' : stderr }).toEqual({ exitCode: 0, stderr: '' });
    await expectHeld(stage.old.endpoint, new Map([...beforeTheOutage, ...since]));
    expect(await status()).toMatchObject({ course: 'rolled-back', traffic: 'v2-rw' });
    expect(await balancerFiles()).toEqual(balancersBefore);
  });

  it('goes to the end with a 3.x that is empty again, most of it imported before the freeze', async () => {
    await stage.renewFresh();
    await stage.configure({ ...migration, freeze: { bulk: true }, confirm: ['freeze'] });
    const early = await stage.run('apply', 'registry', '--yes', ...accepted);
    expect({ exitCode: early.exitCode, stderr: early.stderr }).toMatchObject({
      exitCode: 4,
      stderr: expect.stringContaining('--confirm-phase freeze'),
    });
    const id = await write(stage.urls[0] ?? '', 'SinceTheBase');
    const args = ['--yes', '--follow', '--confirm-phase', 'freeze', ...accepted];
    const applied = await stage.run('apply', 'registry', ...args);
    expect({ exitCode: applied.exitCode, stderr: applied.exitCode === 0 ? '' : applied.stderr }).toEqual({
      exitCode: 0,
      stderr: '',
    });
    const { evidence, freezeParts } = await status();
    const left = evidence.map(({ phase, name }) => `${phase} ${name}`);
    expect(left).toEqual(expect.arrayContaining(['foresee base', 'import delta', 'compare by-export']));
    expect(left).not.toContain('import import');
    expect(freezeParts.map(({ measuredMs }) => typeof measuredMs)).toEqual(Array(6).fill('number'));
    const reply = await request(`${stage.fresh.endpoint}/apis/registry/v3/ids/globalIds/${id}`);
    expect(JSON.parse(reply.body)).toMatchObject({ name: 'SinceTheBase' });
    const finalized = await stage.run('finalize', 'registry', '--yes', '--json');
    expect(finalized).toMatchObject({ exitCode: 0, document: { format: 'keyferry.parallel-run', course: 'over' } });
    expect(await schemas.problems('parallel-run', finalized.document)).toEqual([]);
    expect((await stage.run('rollback', 'registry', '--yes')).exitCode).not.toBe(0);
    const report = await stage.run('report', 'registry', '--json');
    expect(report).toMatchObject({ exitCode: 0, document: { course: 'over' } });
    expect(await schemas.problems('parallel-report', report.document)).toEqual([]);
  });

  it('failed no read of a client, and refused writes with 405 alone', async () => {
    await expectServed(clients);
  });
});
