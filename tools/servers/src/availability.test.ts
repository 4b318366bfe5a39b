/**
 * Goal: a path in the environment replaces the fetch, and a wrong one is refused with a reason instead of a fetch that
 * would silently test another release than the one asked for.
 * Method: empty files stand for programs; nothing is run.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { fromOverride, requireServer, serverOrSkip } from './availability.ts';
import { definitions } from './definitions.ts';

const root = mkdtempSync(join(tmpdir(), 'keyferry-availability-'));
const kind = 'etcd-3.4';

function program(...path: readonly string[]): string {
  const file = join(root, ...path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, '');
  return file;
}

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true, force: true });
});

describe('fromOverride', () => {
  it.each([
    { name: 'takes the program itself', at: ['etcd'], given: ['etcd'], want: [] },
    { name: 'takes its directory', at: ['etcd'], given: [], want: [] },
    { name: 'takes the root of an unpacked package', at: ['usr', 'bin', 'etcd'], given: [], want: ['usr', 'bin'] },
    { name: 'takes an installation prefix', at: ['bin', 'etcd'], given: [], want: ['bin'] },
  ])('$name', ({ at, given, want }) => {
    program(...at);
    const answer = fromOverride(kind, definitions[kind], join(root, ...given));
    expect(answer).toMatchObject({ ok: true, programDirectory: join(root, ...want), version: undefined });
  });

  it('refuses a path without the program, also when a neighbour is there', () => {
    program('etcd');
    const answer = fromOverride(kind, definitions[kind], join(root, 'etcdctl'));
    expect(answer).toMatchObject({ ok: false, reason: expect.stringContaining('KEYFERRY_ETCD_3_4') as string });
    expect(answer.note).toContain('skipped');
  });
});

describe('a server that cannot be had', () => {
  it('is a value with the reason', async () => {
    vi.stubEnv('KEYFERRY_REQUIRE_SERVERS', '');
    vi.stubEnv('KEYFERRY_ETCD_3_4', join(root, 'absent'));
    await expect(serverOrSkip(kind)).resolves.toMatchObject({ ok: false });
  });

  it('is left out in continuous integration, required or not, where it would have to be built for minutes', async () => {
    vi.stubEnv('KEYFERRY_REQUIRE_SERVERS', '1');
    vi.stubEnv('CI', 'true');
    vi.stubEnv('KEYFERRY_CONSUL_1_15', '');
    vi.stubEnv('XDG_CACHE_HOME', root);
    const answer = await serverOrSkip('consul-1.15');
    expect(answer).toMatchObject({ ok: false, note: expect.stringContaining('takes minutes') as string });
  });

  it('throws when servers are required', async () => {
    vi.stubEnv('KEYFERRY_REQUIRE_SERVERS', '1');
    vi.stubEnv('KEYFERRY_ETCD_3_4', join(root, 'absent'));
    await expect(serverOrSkip(kind)).rejects.toMatchObject({ code: 'server.unavailable' });
  });

  it('throws for a caller that cannot do without', async () => {
    vi.stubEnv('KEYFERRY_ETCD_3_4', join(root, 'absent'));
    await expect(requireServer(kind)).rejects.toMatchObject({ code: 'server.unavailable' });
  });
});
