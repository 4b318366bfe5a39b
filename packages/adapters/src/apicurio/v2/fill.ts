/** Fills an empty 2.x with an export of another one, ids included: what a rehearsal begins with. */
import type { BesidesArchive, ImportReceipt, StopSignal } from '@keyferry/core';
import { Lanes } from '../../lanes.ts';
import { assertEmpty } from '../api/assert-empty.ts';
import { parseRefusal, refusalError } from '../api/errors.ts';
import { pathPart, RegistryApi, type RegistryConnection } from '../api/registry-api.ts';
import * as shapes from '../api/shapes.ts';
import { importFrom } from '../transfer/import.ts';
import { lanesMax } from './walk.ts';

/**
 * 2.x would take an archive into whatever it holds: that it is empty is the one guard against a wrong address.
 * @throws {KeyferryError} `registry.not-empty`, `registry.import-refused`, `file.unreadable`, `store.…`
 */
export async function fillOldRegistry(
  connection: RegistryConnection,
  file: string,
  signal: StopSignal,
): Promise<ImportReceipt> {
  const api = new RegistryApi(connection, '/apis/registry/v2');
  try {
    await assertEmpty(api, { artifacts: '/search/artifacts', groups: '/groups' }, signal);
    return await importFrom(api, file, '', signal);
  } finally {
    api.close();
  }
}

/**
 * What no archive holds, into a 2.x that was filled: roles, dynamic settings, owners. Groups' properties and latest versions are in
 * the archive.
 * @returns what it did not take, each with why
 * @throws {KeyferryError} `store.…`
 */
export async function fillBesides(
  connection: RegistryConnection,
  { roles, settings, owners }: BesidesArchive,
  signal: StopSignal,
): Promise<readonly { readonly what: string; readonly why: string }[]> {
  const api = new RegistryApi(connection, '/apis/registry/v2');
  const refused: { readonly what: string; readonly why: string }[] = [];
  const send = async (what: string, method: 'POST' | 'PUT', path: string, body: object): Promise<void> => {
    const headers = { 'content-type': 'application/json' };
    const answer = await api.send({ method, path, headers, body: Buffer.from(JSON.stringify(body)) }, signal);
    const { status, doing } = answer;
    if (status < 300) return;
    const refusal = parseRefusal(answer.body);
    if (status >= 500) throw refusalError(api.store, { status, doing, ...refusal });
    refused.push({ what, why: `it answered ${status}: ${refusal.message}` });
  };
  try {
    for (const { principal, name, role } of roles) {
      const body = { principalId: principal, principalName: name ?? principal, role };
      await send(`role ${principal}`, 'POST', '/admin/roleMappings', body);
    }
    for (const { name, value } of settings) {
      await send(`setting ${name}`, 'PUT', `/admin/config/properties/${pathPart(name)}`, { value });
    }
    await new Lanes(lanesMax).untilFailed(owners, async ({ group, artifact, owner }) => {
      const path = `${shapes.artifactPath({ groupId: group, artifactId: artifact })}/owner`;
      const held = await api.getOrNull(path, shapes.owner2, signal);
      if ((held?.owner ?? '') !== owner) await send(`owner of ${group}/${artifact}`, 'PUT', path, { owner });
    });
    return refused;
  } finally {
    api.close();
  }
}
