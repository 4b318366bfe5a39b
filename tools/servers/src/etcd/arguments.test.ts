/** Goal: what differs between releases, and what must never leave the loopback interface, is decided in one place. */
import { describe, expect, it } from 'vitest';
import { etcdArguments, etcdEnvironment, type EtcdFlags } from './arguments.ts';
import type { EtcdVersion } from './releases.ts';

const member = { name: 'm1', dataDir: '/data/m1', clientPort: 2379, peerPort: 2380 };
const second = { name: 'm2', dataDir: '/data/m2', clientPort: 2479, peerPort: 2480 };
const flags = (version: EtcdVersion, more: Partial<EtcdFlags> = {}): EtcdFlags => ({
  version,
  enableV2: false,
  unsafeNoFsync: false,
  tls: undefined,
  extraArgs: [],
  ...more,
});

describe('etcdArguments', () => {
  it('names loopback addresses only', () => {
    const addresses = etcdArguments(member, [member, second], flags('3.4'))
      .join(' ')
      .match(/\/\/[^:]+/g);
    expect(new Set(addresses)).toEqual(new Set(['//127.0.0.1']));
  });

  it.each([
    { version: '3.3', enableV2: false, want: '--enable-v2=false' },
    { version: '3.4', enableV2: true, want: '--enable-v2=true' },
  ] as const)('says $want for $version', ({ version, enableV2, want }) =>
    expect(etcdArguments(member, [member], flags(version, { enableV2 }))).toContain(want),
  );

  it.each([
    { version: '3.4', want: false },
    { version: '3.5', want: true },
    { version: '3.6', want: true },
  ] as const)('passes --unsafe-no-fsync to $version: $want', ({ version, want }) => {
    const args = etcdArguments(member, [member], flags(version, { unsafeNoFsync: true }));
    expect(args.includes('--unsafe-no-fsync')).toBe(want);
  });

  it('says nothing of v2 to 3.6, which would stop at the flag', () =>
    expect(etcdArguments(member, [member], flags('3.6')).join(' ')).not.toContain('v2'));

  it('lets extra arguments win, by coming last', () => {
    expect(etcdArguments(member, [member], flags('3.5', { extraArgs: ['--name=other'] })).at(-1)).toBe('--name=other');
  });
});

describe('etcdEnvironment', () => {
  it('keeps variables that act as flags away from the server', () => {
    expect(etcdEnvironment({ PATH: '/bin', ETCD_NAME: 'x', ETCDCTL_API: '2' }, 'x64')).toEqual({ PATH: '/bin' });
  });

  it('tells older releases that arm64 is meant', () => {
    expect(etcdEnvironment({}, 'arm64')).toEqual({ ETCD_UNSUPPORTED_ARCH: 'arm64' });
  });
});
