/** Goal: the address of a pinned package follows Debian's layout of the pool, where a wrong one only shows as "404". */
import { expect, it } from 'vitest';
import { poolPath } from './debian-package.ts';

it.each([
  { source: 'etcd', version: '3.5.16-4', want: 'pool/main/e/etcd/p_3.5.16-4_amd64.deb' },
  { source: 'etcd', version: '3.3.25+dfsg-6+b6', want: 'pool/main/e/etcd/p_3.3.25+dfsg-6+b6_amd64.deb' },
  { source: 'libx', version: '2:1.0-1', want: 'pool/main/libx/libx/p_1.0-1_amd64.deb' },
])('places $source $version at $want', ({ source, version, want }) =>
  expect(poolPath({ source, name: 'p', version, sha256: {} }, 'amd64')).toBe(want),
);
