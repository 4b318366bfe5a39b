/**
 * The Consul release under test, pinned to a Debian package.
 *
 * 1.8 is the newest that any registry of this project's machines carries as a program: Debian dropped Consul after
 * bullseye, and what npm, PyPI and Maven have downloads a release archive when it is installed. A newer one is tried by
 * KEYFERRY_CONSUL_1_8: the variable replaces the program, whatever its version.
 */
import type { DebianServer } from '../server-definition.ts';

export type ConsulKind = 'consul-1.8';

export const consulDefinitions: Readonly<Record<ConsulKind, DebianServer>> = {
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
};
