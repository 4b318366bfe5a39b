/**
 * Asks every member of the cluster by itself where it stands.
 *
 *     /v2/members ──► who there is ──► configured endpoints, then the URLs that a member advertises
 *                                      each says by /v2/stats/self which member answers there
 *
 * Configured endpoints come first because advertised URLs are often true only inside the cluster (a container's name,
 * `localhost`); asking who answers is what keeps an advertised `localhost` from passing one member off as three.
 * A member that no address leads to is an error: which one lags is exactly the question.
 */
import { KeyferryError, type MemberPosition } from '@keyferry/core';
import type { EtcdV2Api, ListedMember, OwnRaft } from './api.ts';
import type { Directory } from './directory.ts';

/** @throws {KeyferryError} `store.unreachable` with the name of the first member that could not be asked. */
export async function readMemberPositions(
  store: string,
  api: EtcdV2Api,
  endpoints: readonly string[],
  directory: Directory,
): Promise<readonly MemberPosition[] | null> {
  const { members } = await api.readMembers();
  if (members.length === 1) return null;
  const identified = await Promise.allSettled(endpoints.map((endpoint) => api.readOwnId(endpoint)));
  const configured = new Map(
    identified.flatMap((result, at) => (result.status === 'fulfilled' ? [[result.value, endpoints[at] ?? '']] : [])),
  );
  return await Promise.all(
    members.map(async (member) => {
      const known = configured.get(member.id);
      const raft =
        known === undefined
          ? await askAdvertised(store, api, member, endpoints)
          : await ownRaft(api, known, directory, true);
      return { member: member.name === '' ? member.id : member.name, ...raft };
    }),
  );
}

/**
 * The user is never sent to an address that the server named; the raft position needs none.
 * For the same reason a plain URL is left out when the configuration speaks TLS everywhere.
 */
async function askAdvertised(
  store: string,
  api: EtcdV2Api,
  member: ListedMember,
  endpoints: readonly string[],
): Promise<OwnRaft> {
  const secure = endpoints.every((endpoint) => endpoint.startsWith('https:'));
  const failures: string[] = [];
  for (const url of member.clientUrls.filter((each) => !secure || each.startsWith('https:'))) {
    try {
      if ((await api.readOwnId(url)) === member.id) return await api.readRaftStatus(url);
      failures.push(`${url} is another member`);
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  const tried = failures.length === 0 ? 'no address of it is known' : failures.join('; ');
  const detail = `member ${member.name === '' ? member.id : member.name} cannot be asked: ${tried}`;
  throw new KeyferryError('store.unreachable', { store, detail });
}

async function ownRaft(api: EtcdV2Api, url: string, directory: Directory, authenticated: boolean): Promise<OwnRaft> {
  return (await api.readOwnRaft(url, directory, authenticated)) ?? (await api.readRaftStatus(url));
}
