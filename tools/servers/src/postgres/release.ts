/**
 * PostgreSQL 15, pinned to Debian packages: the release that the platforms whose components this project moves run on.
 *
 * Beside the server come its client programs and those libraries of the same Debian release that later ones no longer
 * have; the rest is on any Debian. Its just-in-time compiler is left out: it brings a hundred megabytes of LLVM along, and
 * is switched off at the start.
 */
import type { DebianServer } from '../server-definition.ts';

export type PostgresKind = 'postgres-15';

const version = '15.18-0+deb12u1';

export const postgresDefinitions: Readonly<Record<PostgresKind, DebianServer>> = {
  'postgres-15': {
    version: '15.18',
    environmentVariable: 'KEYFERRY_POSTGRES_15',
    programs: ['postgres', 'initdb', 'psql', 'pg_isready'],
    programsIn: 'usr/lib/postgresql/15/bin',
    packages: [
      {
        source: 'postgresql-15',
        name: 'postgresql-15',
        version,
        sha256: {
          amd64: '6974c43ddec4f383d099e7d642cd59d0af83c2c90c0fb153a4179aa1bb4d73c1',
          arm64: '3292892a851f0e8c8b52597bb8348fcc36991aa4d1c7de3b075694df009ea4fb',
        },
      },
      {
        source: 'postgresql-15',
        name: 'postgresql-client-15',
        version,
        sha256: {
          amd64: 'fc98076d378231baac95d6eae09a3e01730cd706f4d00bbcda6ba580d38355a1',
          arm64: '06559d42ee971439e6def8e4359e84577455f3172214b78bcb7d2a3ab74f9efd',
        },
      },
      {
        source: 'postgresql-15',
        name: 'libpq5',
        version,
        sha256: {
          amd64: 'baef57c288d7d8c09c84cd461da35d28f981aa71c60448c1d95b52110cc9faf9',
          arm64: 'ef2b1ad471e0f81b3fe40c7e8c5fdd5ff9dbd4bb05ee07e9c7dd37f2f5e2ae2e',
        },
      },
      {
        source: 'openldap',
        name: 'libldap-2.5-0',
        version: '2.5.13+dfsg-5',
        sha256: {
          amd64: '4b6c30f6554149c594628d945edc6003f0eea8d0cc1341638c0e71375db147ed',
          arm64: '71e6ae4291a20db999c62cd0a4f30a92a799c46b99205d5e787d4acd7c343b91',
        },
      },
      {
        source: 'icu',
        name: 'libicu72',
        version: '72.1-3+deb12u1',
        sha256: {
          amd64: 'f7f6f99c6d7b025914df2447fc93e11d22c44c0c8bdd8b6f36691c9e7ddcef88',
          arm64: '4f5d892fd81110435e45ed0a5f1b12899d7ff989d51db283cbc043f5631646d8',
        },
      },
    ],
  },
};
