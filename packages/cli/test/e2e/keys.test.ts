/**
 * Goal: every key and value arrives byte for byte, and what cannot arrive is named before anything is written.
 * Method: the built binary between real servers, with keys that path handling, text handling or limits could spoil; what
 * is in the target is read through the server's own gateway and compared with what was put into the source.
 */
import { loadV2Keys, serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { grantLease, latin1, leaseSecondsLeft, loadV3, putV2, putV3, readTexts, readV3 } from './etcd-data.ts';
import { findingsWith, MigrationFolder, type MigrationOptions } from './migration-folder.ts';

const [old, current] = await Promise.all([serverOrSkip('etcd-3.4'), serverOrSkip('etcd-3.5')]);
const note = [old, current].find((server) => !server.ok)?.note ?? '';
const mebibyte = 1024 * 1024;

describe.skipIf(!old.ok || !current.ok)(`keys that are hard to carry${note}`, () => {
  let source: EtcdServer;
  let target: EtcdServer;
  let folder: MigrationFolder;
  const endpointOf = (server: EtcdServer): string => server.endpoints[0] as string;

  /** From v2 to v3 unless told otherwise, each test under a prefix of its own. */
  const open = async (prefix: string, options: Partial<MigrationOptions> = {}): Promise<void> => {
    folder = await MigrationFolder.create({
      source: { kind: 'etcd-v2', endpoints: source.endpoints },
      target: { kind: 'etcd-v3', endpoints: target.endpoints },
      prefix,
      ...options,
    });
  };
  const planAndApply = async () => {
    const plan = await folder.run(['plan', 'move', '--out', 'move.kfplan']);
    expect([plan.exitCode, plan.stderr]).toEqual([0, expect.any(String)]);
    const apply = await folder.run(['apply', 'move.kfplan']);
    expect(apply).toMatchObject({
      exitCode: 0,
      document: { outcome: 'done', verify: { verdict: 'agree' }, deviations: [] },
    });
    return { plan: plan.document, apply: apply.document };
  };

  beforeAll(async () => {
    [source, target] = await Promise.all([
      startEtcd({ version: '3.4', enableV2: true, extraArgs: ['--max-request-bytes=8388608'] }),
      startEtcd({ version: '3.5', unsafeNoFsync: true }),
    ]);
  });
  afterEach(() => folder.remove());
  afterAll(() => Promise.all([source?.stop(), target?.stop()]));

  it('carries every name that etcd v2 takes', async () => {
    const names = [
      'a-b',
      'a/b',
      'a.b',
      'a b',
      'a%2Fb',
      '100%',
      '%',
      '%00',
      'a+b&c=d?e#f;g',
      '"quoted" \'name\'',
      'back\\slash',
      '<tag>&amp;',
      'tab\there',
      'line\nbreak',
      'carriage\rreturn',
      'escape\u001b[31m',
      'delete\u007f',
      'ünïcode',
      'u\u0308nicode decomposed',
      '日本語/キー',
      '\u{1f6a2}/\u{1f5dd}',
      '\u200bzero width',
      '\u202eright to left',
      'line\u2028separator',
      '\ufeffmark',
      '\uffff',
      'not hidden_/x_',
      'CASE',
      'case',
      '~',
      '*',
      'n'.repeat(300),
    ];
    const entries = new Map(names.map((name, i) => [`/names/${name}`, `value ${i} of ${name}`]));
    await loadV2Keys(
      endpointOf(source),
      [...entries].map(([key, value]) => ({ key, value })),
    );
    await open('/names/');
    const { apply } = await planAndApply();
    expect(apply).toMatchObject({ counts: { written: names.length } });
    expect(await readTexts(endpointOf(target), '/names/')).toEqual(Object.fromEntries(entries));
  });

  it('carries values of every kind, and counts what has no form in etcd v3', async () => {
    const texts = ['', ' ', '\n', '\u0000', 'grüße', '\u{1f6a2}', '{"a":1}', '\u2028', '\\u0000', '\ufeffmarked'];
    const values = [...texts, 'x'.repeat(mebibyte), 'ü\ufeff'.repeat(50_000)];
    const entries = Object.fromEntries(values.map((value, i) => [`/values/${i}`, value]));
    for (const [key, value] of Object.entries(entries)) await putV2(endpointOf(source), key, { value });
    await putV2(endpointOf(source), '/values/empty-dir', { dir: true });
    await putV2(endpointOf(source), '/values/with-empty/empty-dir', { dir: true });
    // Hidden names: a live v2 server lists them to nobody, so they are neither carried nor counted (etcd-v2 README).
    await putV2(endpointOf(source), '/values/_hidden', { value: 'not seen' });
    await putV2(endpointOf(source), '/values/_hidden-dir/a', { value: 'not seen' });
    await putV2(endpointOf(source), '/values/only-hidden/_a', { value: 'not seen' });
    await open('/values/');
    const { plan } = await planAndApply();
    expect(plan).toMatchObject({
      totals: {
        actions: { create: { keys: values.length } },
        notCarried: { 'dir.empty': 3, 'dir.with-children': 1 },
        scanned: values.length + 4,
      },
    });
    expect(await readTexts(endpointOf(target), '/values/')).toEqual(entries);
  });

  it('carries a path of 200 names, and 100,000 names in one directory', async () => {
    const deep = `/wide/deep${'/d'.repeat(200)}`;
    const keys = Array.from({ length: 100_000 }, (_, i) => `/wide/all/${i}`);
    const entries = [deep, ...keys].map((key) => ({ key, value: key }));
    await loadV2Keys(endpointOf(source), entries);
    await open('/wide/');
    const { plan } = await planAndApply();
    expect(plan).toMatchObject({ totals: { notCarried: { 'dir.with-children': 201 } } });
    expect(await readTexts(endpointOf(target), '/wide/')).toEqual(
      Object.fromEntries(entries.map(({ key, value }) => [key, value])),
    );
  });

  it('blocks a plan with values above the limit of the target, names them, and nothing is written', async () => {
    await putV2(endpointOf(source), '/large/fits', { value: 'f'.repeat(1_548_288 - '/large/fits'.length) });
    await putV2(endpointOf(source), '/large/one-more', { value: 'm'.repeat(1_548_288 - '/large/one-more'.length + 1) });
    await putV2(endpointOf(source), '/large/sub/more', { value: 'm'.repeat(3 * mebibyte) });
    await open('/large/');
    const own = await readV3(endpointOf(target), '_keyferry/');
    const plan = await folder.run(['plan', 'move', '--out', 'move.kfplan']);
    expect(plan).toMatchObject({
      exitCode: 4,
      document: {
        applyable: false,
        totals: { actions: { create: { keys: 1 }, blocked: { keys: 2 } } },
        findings: findingsWith({
          code: 'value.too-large',
          level: 'blocking',
          count: 2,
          keys: [{ text: '/large/one-more' }, { text: '/large/sub/more' }],
        }),
      },
    });
    const apply = await folder.run(['apply', 'move.kfplan']);
    expect(apply).toMatchObject({ exitCode: 4, document: { error: { code: 'plan.not-applyable' } } });
    expect(await readV3(endpointOf(target), '/large/')).toEqual(new Map());
    expect(await readV3(endpointOf(target), '_keyferry/')).toEqual(own);

    // The largest value that fits does arrive.
    await folder.configure({
      source: { kind: 'etcd-v2', endpoints: source.endpoints },
      target: { kind: 'etcd-v3', endpoints: target.endpoints },
      prefix: '/large/f',
    });
    await planAndApply();
    expect([...(await readV3(endpointOf(target), '/large/'))].map(([key, { value }]) => [key, value.length])).toEqual([
      ['/large/fits', 1_548_288 - '/large/fits'.length],
    ]);
  });

  it.each([
    ['v3', () => ({ kind: 'etcd-v3', endpoints: target.endpoints })],
    ['SQLite and on to v3', () => ({ kind: 'sqlite', file: 'between.db' })],
  ])('carries bytes that are not UTF-8 from v3 to %s', async (name, between) => {
    const from = `bytes/${name}/`;
    const last = `arrived/${name}/`;
    const odd = [
      Buffer.from([0xff, 0xfe]),
      Buffer.from([0x00]),
      Buffer.from([0x00, 0x00]),
      Buffer.from([0xc3]),
      Buffer.from([0xc3, 0xbc]),
      Buffer.from([0xed, 0xa0, 0x80]),
      Buffer.from([0xff, 0xff, 0xff]),
      Buffer.alloc(0),
    ];
    const entries = odd.flatMap((key, i) =>
      odd.map((value, j) => [Buffer.concat([Buffer.from(`${from}${i}${j}`), key]), value] as const),
    );
    // Every byte once, right behind the prefix.
    for (let byte = 0; byte < 256; byte += 1) {
      entries.push([Buffer.concat([Buffer.from(from), Buffer.from([byte])]), Buffer.from([255 - byte])]);
    }
    entries.push([Buffer.from(from), Buffer.from('the prefix itself')]);
    await loadV3(endpointOf(source), entries);
    const v3Source = { kind: 'etcd-v3', endpoints: source.endpoints };
    if (name === 'v3') {
      await open(from, { source: v3Source, target: between(), targetPrefix: last });
      await planAndApply();
    } else {
      await open(from, { source: v3Source, target: between() });
      await planAndApply();
      await folder.configure({
        source: between(),
        target: { kind: 'etcd-v3', endpoints: target.endpoints },
        prefix: from,
        targetPrefix: last,
        settings: { limits: { chunkKeys: 7 } },
      });
      await planAndApply();
    }
    const arrived = await readV3(endpointOf(target), last);
    expect(arrived.size).toBe(entries.length);
    for (const [key, value] of entries) {
      expect(arrived.get(last + key.toString('latin1').slice(from.length))?.value).toEqual(value);
    }
  });

  it('carries leases from v3 to v3, and what hangs on none stays permanent', async () => {
    const leases = await Promise.all([700, 900, 100_000].map((seconds) => grantLease(endpointOf(source), seconds)));
    for (let i = 0; i < 60; i += 1) await putV3(endpointOf(source), `leased/${i}`, `v${i}`, leases[i % 3]);
    await putV3(endpointOf(source), 'leased/permanent', 'p');
    await open('leased/', {
      source: { kind: 'etcd-v3', endpoints: source.endpoints },
      settings: { rules: [{ ttl: { toLease: { bucket: '1m' } } }] },
    });
    const { plan } = await planAndApply();
    expect(plan).toMatchObject({ totals: { expiring: 60 }, meaning: [{ code: 'ttl.to-lease', count: 60 }] });
    const arrived = await readV3(endpointOf(target), 'leased/');
    expect(arrived.size).toBe(61);
    expect(arrived.get('leased/permanent')?.lease).toBe('0');
    expect(new Set([...arrived.values()].map(({ lease }) => lease)).size).toBe(4);
    for (const [i, sourceLease] of leases.entries()) {
      const { lease = '' } = arrived.get(latin1(`leased/${i}`)) ?? {};
      const [inSource, inTarget] = [
        await leaseSecondsLeft(endpointOf(source), sourceLease),
        await leaseSecondsLeft(endpointOf(target), lease),
      ];
      expect(inTarget).toBeGreaterThanOrEqual(inSource - 1);
      expect(inTarget).toBeLessThanOrEqual(inSource + 63);
    }
  });
});
