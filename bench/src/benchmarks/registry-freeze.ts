/**
 * For how long writers wait while a registry goes from Apicurio 2.6 to 3.3: with everything inside the freeze, and with only what
 * came since an import before it (`freeze.bulk`).
 *
 * Beside it what the vendor's guide does while writes are stopped: one export, one import, one count of artifacts; by hand, without
 * the fixed waits and the people of its checkpoints. It proves nothing of ids, contents, order or losses, which is most of the time
 * that keyferry takes. Between the plan and the freeze a hundredth of the versions is added, and some change. `validate` is the
 * comparison of 3.x with the archive, version by version; `peak` the memory of a command of keyferry's.
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fillRegistry, startApicurio, type ApicurioServer } from '@keyferry/servers';
import { Samples, type Benchmark } from '../benchmark.ts';
import { RegistryMigration, startFresh } from '../workload/registry-migration.ts';

const changedShare = 0.01;

export const registryFreeze: Benchmark = {
  rounds: 1,
  keys: 1000,
  async run({ rounds, keys, note }) {
    const samples = new Samples();
    for (let round = 1; round <= rounds; round += 1) {
      await using old = await startApicurio({ version: '2.6' });
      note(`round ${round}: filling 2.6`);
      await fillRegistry(old.endpoint, { versions: keys, hazards: false });
      note(`round ${round}: as the guide says`);
      samples.add('guide: writes stopped', 'ms', await ledByGuide(old));
      for (const way of ['whole', 'delta'] as const) {
        note(`round ${round}: ${way}`);
        await ledByKeyferry(old, way, `${round}${way}`, keys, samples);
      }
    }
    return {
      workload: `${keys.toLocaleString('en')} versions, ten an artifact, H2 in memory; ${changedShare * 100} % more come between the plan and the freeze`,
      commands: {
        keyferry: 'keyferry plan; keyferry apply; keyferry apply --confirm-phase freeze; keyferry status --json',
        guide:
          'curl /apis/registry/v2/admin/export; curl -X POST /apis/registry/v3/admin/import; curl /search/artifacts?limit=1',
      },
      series: samples.series(),
      ratios: [
        samples.ratio('freeze, delta / whole', 'delta: frozen', 'whole: frozen', { atMost: 1 }),
        samples.ratio('freeze, delta / guide', 'delta: frozen', 'guide: writes stopped', null),
        samples.ratio('freeze, whole / guide', 'whole: frozen', 'guide: writes stopped', null),
        samples.ratio('delta, measured / estimated', 'delta: frozen', 'delta: estimated', null),
        samples.ratio('whole, measured / estimated', 'whole: frozen', 'whole: estimated', null),
        samples.ratio('validate by the API / by an export', validateOf('whole'), validateOf('delta'), null),
      ],
      versions: { 'Apicurio Registry': '2.6.13.Final and 3.3.3', HAProxy: '2.6.12', nginx: '1.22.1' },
      notMeasured: [
        'databases on other machines, and the network between',
        'clients that read and write meanwhile: registry-clients',
        'all ways on the same versions: delta has those too that whole added, and the guide has neither',
      ],
    };
  },
};

async function ledByGuide(old: ApicurioServer): Promise<number> {
  await using fresh = await startFresh();
  const file = join(tmpdir(), `keyferry-bench-${process.pid}.zip`);
  const startedAtMs = performance.now();
  const exported = await ok(`${old.endpoint}/apis/registry/v2/admin/export`, {
    headers: { accept: 'application/zip' },
  });
  await writeFile(file, exported);
  await ok(`${fresh.endpoint}/apis/registry/v3/admin/import`, {
    method: 'POST',
    headers: { 'content-type': 'application/zip' },
    body: new Uint8Array(await readFile(file)),
  });
  await ok(`${old.endpoint}/apis/registry/v2/search/artifacts?limit=1`);
  await ok(`${fresh.endpoint}/apis/registry/v3/search/artifacts?limit=1`);
  const tookMs = performance.now() - startedAtMs;
  await rm(file);
  return tookMs;
}

async function ledByKeyferry(
  old: ApicurioServer,
  way: 'whole' | 'delta',
  mark: string,
  keys: number,
  samples: Samples,
): Promise<void> {
  const migration = await RegistryMigration.create(old, { bulk: way === 'delta', confirm: ['freeze'] });
  try {
    const planned = await migration.plan();
    const prepared = await migration.applyUntilAsked();
    await writeSome(old, Math.ceil(keys * changedShare), mark);
    const applied = await migration.applyToTheEnd('freeze');
    const { frozenMs, estimatedFreezeMs, freezeParts, evidence } = await migration.figures();
    const wasDelta = evidence.some(({ phase, name }) => phase === 'import' && name === 'delta');
    if (wasDelta !== (way === 'delta')) throw new Error(`${way}: the import was another way`);
    samples.add(`${way}: frozen`, 'ms', frozenMs);
    samples.add(`${way}: estimated`, 'ms', estimatedFreezeMs);
    for (const { what, measuredMs } of freezeParts) samples.add(`${way}: ${what}`, 'ms', measuredMs ?? Number.NaN);
    const compared = evidence.find(({ phase, name }) => phase === 'compare' && name === 'comparison')?.data;
    const { tookMs, comparedVersions } = compared as { readonly tookMs: number; readonly comparedVersions: number };
    samples.add(validateOf(way), 'ms', (tookMs / comparedVersions) * 1000);
    const back = await migration.goBack();
    const peaks = { plan: planned, 'before the freeze': prepared, 'the freeze': applied, rollback: back };
    for (const [what, { peakMiB }] of Object.entries(peaks)) samples.add(`${way}: peak of ${what}`, 'MiB', peakMiB);
  } finally {
    await migration.remove();
  }
}

const validateOf = (way: 'whole' | 'delta'): string =>
  `validate 1,000 versions, ${way === 'whole' ? 'by the API' : 'by an export, and by the API what came since'}`;

/** New versions, every tenth of an artifact that is new, and a state of one that is there for every tenth. */
async function writeSome({ endpoint }: ApicurioServer, count: number, mark: string): Promise<void> {
  const headers = { 'content-type': 'application/json', 'x-registry-artifacttype': 'AVRO' };
  for (let i = 0; i < count; i += 1) {
    const body = JSON.stringify({ type: 'record', name: `Late${mark}${i}`, fields: [] });
    const artifact = i % 10 === 9 ? `late-${mark}-${i}` : `schema-${i}`;
    const at = `${endpoint}/apis/registry/v2/groups/plain-${i % 10}/artifacts`;
    const named = { ...headers, 'x-registry-artifactid': artifact, 'x-registry-version': `late-${mark}` };
    await ok(`${at}?ifExists=UPDATE`, { method: 'POST', headers: named, body });
    if (i % 10 !== 0) continue;
    const state = JSON.stringify({ state: 'DEPRECATED' });
    await ok(`${at}/${artifact}/versions/1/state`, { method: 'PUT', headers, body: state });
  }
}

async function ok(url: string, init: RequestInit = {}): Promise<Uint8Array> {
  const reply = await fetch(url, init);
  const body = new Uint8Array(await reply.arrayBuffer());
  if (reply.ok) return body;
  throw new Error(`${init.method ?? 'GET'} ${url}: ${reply.status} ${Buffer.from(body).toString().slice(0, 300)}`);
}
