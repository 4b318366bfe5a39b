/**
 * Cuts one member of a real cluster off from the others and lets clients still reach it: a member that lags.
 *
 *     member ──► proxy of the other member ──► its peer port        each member is known to the others by its proxy
 *
 * etcd says who it is on each connection between members (`X-Server-From`, rafthttp), so a proxy knows whose it is.
 */
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { etcdctl, type EtcdServer } from '@keyferry/servers';

export interface PeerCuts {
  /** No message from or to this member passes any more. */
  readonly cut: (name: string) => void;
  readonly heal: () => void;
  readonly close: () => Promise<void>;
}

/** Starts the cluster anew, empty, with the proxies in between from the beginning. */
export async function preparePeerCuts(cluster: EtcdServer): Promise<PeerCuts> {
  // `id, state, name, peer URL, client URL, learner`
  const rows = (await etcdctl(cluster, ['member', 'list'])).trim().split('\n');
  const members = rows.map((row) => {
    const [, , name = '', peerUrl = ''] = row.split(', ');
    return { name, peerPort: Number(new URL(peerUrl).port) };
  });
  let isolated: string | null = null;
  const pairs = new Set<{ readonly to: string; from: string | null; readonly sockets: readonly Socket[] }>();
  const servers: Server[] = [];
  const proxyUrls = new Map<string, string>();
  const ids = new Map<string, string>();
  const isCut = ({ to, from }: { readonly to: string; readonly from: string | null }): boolean =>
    isolated !== null && (to === isolated || from === ids.get(isolated));
  const dropCut = (): void => {
    for (const pair of pairs) if (isCut(pair)) for (const socket of pair.sockets) socket.destroy();
  };

  for (const { name, peerPort } of members) {
    const server = createServer((client) => {
      const member = connect(peerPort, '127.0.0.1');
      const pair = { to: name, from: null as string | null, sockets: [client, member] };
      pairs.add(pair);
      for (const socket of pair.sockets) {
        socket.on('error', () => socket.destroy());
        socket.on('close', () => {
          pairs.delete(pair);
          client.destroy();
          member.destroy();
        });
      }
      client.once('data', (head: Buffer) => {
        pair.from = /X-Server-From: ([0-9a-f]+)/i.exec(head.toString('latin1'))?.[1] ?? null;
        if (isCut(pair)) {
          client.destroy();
          return;
        }
        member.write(head);
        client.pipe(member);
        member.pipe(client);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    servers.push(server);
    proxyUrls.set(name, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  }

  const initialCluster = [...proxyUrls].map(([name, url]) => `${name}=${url}`).join(',');
  await Promise.all(cluster.members.map((member) => member.kill('SIGKILL')));
  for (const member of cluster.members) {
    await rm(member.dataDir, { recursive: true });
    const own = `--initial-advertise-peer-urls=${proxyUrls.get(member.name) ?? ''}`;
    await member.restart({ extraArgs: [`--initial-cluster=${initialCluster}`, own], waitHealthy: false });
  }
  await cluster.waitHealthy();
  for (const row of (await etcdctl(cluster, ['member', 'list'])).trim().split('\n')) {
    const [id = '', , name = ''] = row.split(', ');
    ids.set(name, id);
  }

  return {
    cut: (name) => {
      isolated = name;
      dropCut();
    },
    heal: () => (isolated = null),
    close: async () => {
      for (const { sockets } of pairs) for (const socket of sockets) socket.destroy();
      await Promise.all(
        servers.map(async (server) => {
          server.close();
          await once(server, 'close');
        }),
      );
    },
  };
}
