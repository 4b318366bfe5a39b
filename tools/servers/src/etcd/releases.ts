/**
 * The etcd releases under test, pinned to Debian packages, and 3.6, which has none yet, to the source of its modules.
 *
 * Four lines because each differs where the migrator cares: 3.3 serves v2 without a flag, 3.4 is the last that has
 * `etcdctl migrate`, 3.5 is the last that serves v2 at all, 3.6 refuses to start where content of v2 is left. The exact versions are those whose behaviour the adapters'
 * notes were measured on, so a new pin is a reason to run the contract suites again, not a routine bump.
 */
import { fileURLToPath } from 'node:url';
import type { DebianPackage, DebianServer, GoServer } from '../server-definition.ts';

export type EtcdVersion = '3.3' | '3.4' | '3.5' | '3.6';
export type EtcdKind = `etcd-${EtcdVersion}`;

export const etcdDefinitions: Readonly<Record<EtcdKind, DebianServer | GoServer>> = {
  'etcd-3.3': {
    version: '3.3.25',
    environmentVariable: 'KEYFERRY_ETCD_3_3',
    programs: ['etcd', 'etcdctl'],
    packages: [
      etcdPackage('etcd-server', '3.3.25+dfsg-6+b6', {
        amd64: '26ebaf2c5482e1ded1c7d9a65a47d06cdb9dc99d78aa3c280ee61bae39d4e44c',
        arm64: '57cc45dd41ff6b6f11cefbc251e1ed88133893737c3e176efac2e3cedd81d6e8',
      }),
      etcdPackage('etcd-client', '3.3.25+dfsg-6+b6', {
        amd64: 'df59b04f745046e77d27919bf50364b91a5dcacaa812fbcd946574f85b23fe1c',
        arm64: '2f1107bd169b1bd5d8e6b3183bbbbf6d0ff2800557375c65733b87aa8247daa0',
      }),
    ],
  },
  'etcd-3.4': {
    version: '3.4.23',
    environmentVariable: 'KEYFERRY_ETCD_3_4',
    programs: ['etcd', 'etcdctl'],
    packages: [
      etcdPackage('etcd-server', '3.4.23-4+b4', {
        amd64: '3a9445d4560ad6de1c375756b2a17d97713df44cbd20a658c871fe108af7ef5d',
        arm64: '821e59be145fa42bd72b3e003d275640947c3d824b4c06b1ed2a01a631d555a1',
      }),
      etcdPackage('etcd-client', '3.4.23-4+b4', {
        amd64: 'db3a484d5d924b50bf71f459ee544ecd7b11c25dc2f6becc0c50352d67299cc8',
        arm64: '3f1bcd6d47e2c9eaa274c5bb2f7b2ebc090226dc10dde00e13e32d0b03d137d7',
      }),
    ],
  },
  'etcd-3.5': {
    version: '3.5.16',
    environmentVariable: 'KEYFERRY_ETCD_3_5',
    programs: ['etcd', 'etcdctl', 'etcdutl'],
    packages: [
      etcdPackage('etcd-server', '3.5.16-4', {
        amd64: '0875921bb0d023f2af9b8e15cdfbe417a03e65731345fb832c40f9c2dd72967b',
        arm64: '5e21469a4f59f1cb2ed7af9c6eb9dda7d9734809c011cfa8a39b34f82a161a32',
      }),
      etcdPackage('etcd-client', '3.5.16-4', {
        amd64: '7eb67e305ba2ce523a5a0b29bf88750ded3f724769c7111a83382b7909f9977b',
        arm64: '56c3527045c4ddd0aca5a572897b9a72e43a015cb09a01c79acc08eda17904ca',
      }),
    ],
  },
  'etcd-3.6': {
    version: '3.6.16',
    environmentVariable: 'KEYFERRY_ETCD_3_6',
    programs: ['etcd', 'etcdctl', 'etcdutl'],
    moduleDirectory: fileURLToPath(new URL('v3.6/', import.meta.url)),
    goPackages: ['go.etcd.io/etcd/server/v3', 'go.etcd.io/etcd/etcdctl/v3', 'go.etcd.io/etcd/etcdutl/v3'],
  },
};

function etcdPackage(name: string, version: string, sha256: Readonly<Record<string, string>>): DebianPackage {
  return { source: 'etcd', name, version, sha256 };
}
