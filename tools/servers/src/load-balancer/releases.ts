/**
 * The load balancers under test, pinned to the Debian packages of the releases that stand before registries today, with
 * those libraries that not every Debian has. Their modules are left out: nothing here loads one.
 */
import type { DebianServer } from '../server-definition.ts';

export type LoadBalancerKind = 'nginx-1.22' | 'haproxy-2.6';

export const loadBalancerDefinitions: Readonly<Record<LoadBalancerKind, DebianServer>> = {
  'nginx-1.22': {
    version: '1.22.1',
    environmentVariable: 'KEYFERRY_NGINX_1_22',
    programs: ['nginx'],
    programsIn: 'usr/sbin',
    packages: [
      {
        source: 'nginx',
        name: 'nginx',
        version: '1.22.1-9+deb12u9',
        sha256: { amd64: '4e7b52f8b31f26d77ffb5c427c41e36223e81b047242ecfa8dc1d7f939734885' },
      },
    ],
  },
  'haproxy-2.6': {
    version: '2.6.12',
    environmentVariable: 'KEYFERRY_HAPROXY_2_6',
    programs: ['haproxy'],
    programsIn: 'usr/sbin',
    packages: [
      {
        source: 'haproxy',
        name: 'haproxy',
        version: '2.6.12-1+deb12u3',
        sha256: { amd64: 'c8fa07420a78bfc47544b2a46e97151a8a12c3b4db62de610b2e37e78506f465' },
      },
      {
        source: 'lua5.3',
        name: 'liblua5.3-0',
        version: '5.3.6-2',
        sha256: { amd64: '576ad8ef2e9f6ad21f29f0c90dac17448deefee8f3912877c2a0911b77e5d3ca' },
      },
      {
        source: 'opentracing-c-wrapper',
        name: 'libopentracing-c-wrapper0',
        version: '1.1.3-3+b1',
        sha256: { amd64: '68013bf6296a776923622c871bed26bc7b6bfe5f84b0fa2707a06382d1db2692' },
      },
      {
        source: 'opentracing-cpp',
        name: 'libopentracing1',
        version: '1.6.0-4',
        sha256: { amd64: 'af62b62a99979253a79e3443f7dabe13f1f33bc2fc024f99039e3868a67f26f4' },
      },
    ],
  },
};
