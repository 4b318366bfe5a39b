/**
 * Goal: members that hold different things at one and the same entry are told from members that are merely behind, whether they
 * are read from directories or asked while they are at work.
 * Method: a real directory that is copied and then used twice, each time by a server that goes its own way: two stores with one
 * cluster's name, as `etcdctl migrate` member by member or a restored disk leaves behind.
 */
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { membersVerdict } from '@keyferry/core';
import { serverOrSkip, startEtcd } from '@keyferry/servers';
import { describe, expect, it } from 'vitest';
import { compareLiveMembers, compareMembers, type ComparedMember } from '../../src/etcd-v2-datadir/index.ts';
import { withFolder } from './etcd-v2-datadir-fixture.ts';
import { send } from './etcd-v2-datadir-workload.ts';

const available = await serverOrSkip('etcd-3.4');
const kindOf = (members: readonly ComparedMember[]) =>
  membersVerdict(members as [ComparedMember, ...ComparedMember[]]).kind;
const place = (dataDir: string) => ({ dataDir, walDir: null });

describe.skipIf(!available.ok)(`members${available.note}`, () => {
  /** Writes with a server on a directory; looks while it is at work. */
  const used = async (dataDir: string, keys: readonly string[], look?: (endpoint: string) => Promise<void>) => {
    const server = await startEtcd({ version: '3.4', enableV2: true, dataDir });
    try {
      const endpoint = server.endpoints[0] ?? '';
      for (const key of keys) await send(endpoint, 'PUT', key, { value: key });
      await look?.(endpoint);
      await server.members[0]?.stop();
    } finally {
      await server.stop();
    }
  };

  it('that went different ways are forked, on the disk and at work', () =>
    withFolder(async (folder) => {
      const [one, other] = [join(folder, 'one'), join(folder, 'other')];
      await used(one, ['/app/before']);
      await cp(one, other, { recursive: true });
      expect(kindOf(await compareMembers([place(one), place(other)]))).toBe('converged');
      await used(one, ['/app/x', '/app/z']);
      await used(other, ['/app/y', '/app/z'], async (endpoint) => {
        expect(kindOf(await compareLiveMembers([{ endpoint }, place(one)]))).toBe('forked');
      });
      expect(kindOf(await compareMembers([place(one), place(other)]))).toBe('forked');
    }));

  it('list at work what is in their directory, but for hidden names', () =>
    withFolder(async (folder) => {
      const [dataDir, copy] = [join(folder, 'data'), join(folder, 'copy')];
      await used(dataDir, ['/app/ü/日本', '/app/a-b', '/app/a/b', '/app/_hidden/x', '/_top'], async (endpoint) => {
        await send(endpoint, 'PUT', '/app/soon', { value: 'v', ttl: '3600' });
        await send(endpoint, 'PUT', '/dir', { dir: 'true', ttl: '7200' });
        await send(endpoint, 'PUT', '/dir/below', { value: '' });
        // A member that is alone writes before it answers: nothing that it lists is missing in a copy.
        await cp(dataDir, copy, { recursive: true });
        const [live, read] = await compareLiveMembers([{ endpoint }, place(copy)]);
        expect([live?.memberId, live?.clusterId, live?.v2Index]).toEqual([
          read?.memberId,
          read?.clusterId,
          read?.v2Index,
        ]);
        expect(live?.content).toEqual(read?.content);
      });
    }));
});
