/**
 * The Consul releases under test: 1.8, pinned to a Debian package, and 1.15, pinned to the source of its modules.
 *
 * Debian dropped Consul after bullseye, and what npm, PyPI and Maven have downloads a release archive when it is installed.
 * 1.15.6 is the newest under MPL-2.0 whose modules are all to be had (README.md says of which newer ones they are not); from
 * 1.16.4, 1.15.8 and 1.17 on the licence is another one, and those are not for this project. A newer one of your own is tried
 * by the variables, which replace the program, whatever its version.
 */
import { fileURLToPath } from 'node:url';
import type { DebianServer, GoServer } from '../server-definition.ts';

export type ConsulVersion = '1.8' | '1.15';
export type ConsulKind = `consul-${ConsulVersion}`;
export const consulVersions: readonly ConsulVersion[] = ['1.8', '1.15'];

export const consulDefinitions: Readonly<Record<ConsulKind, DebianServer | GoServer>> = {
  'consul-1.8': {
    version: '1.8.7',
    environmentVariable: 'KEYFERRY_CONSUL_1_8',
    programs: ['consul'],
    packages: [
      {
        source: 'consul',
        name: 'consul',
        version: '1.8.7+dfsg1-2+b3',
        sha256: {
          amd64: 'e4e888bba104daba1d9161f49bfc52649a7e4efd45b1a7ead5bc54f2cb9c89d9',
          arm64: '7318cfa77a7ba6f71dd096e44353279de246ffc6561216ace42353685dcf8255',
        },
      },
    ],
  },
  'consul-1.15': {
    version: '1.15.6',
    environmentVariable: 'KEYFERRY_CONSUL_1_15',
    programs: ['consul'],
    moduleDirectory: fileURLToPath(new URL('v1.15/', import.meta.url)),
    goPackages: ['github.com/hashicorp/consul'],
    buildsForLong: true,
  },
};
