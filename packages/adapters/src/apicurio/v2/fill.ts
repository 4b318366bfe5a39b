/** Fills an empty 2.x with an export of another one, ids included: what a rehearsal begins with. */
import type { ImportReceipt, StopSignal } from '@keyferry/core';
import { assertEmpty } from '../api/assert-empty.ts';
import { RegistryApi, type RegistryConnection } from '../api/registry-api.ts';
import { importFrom } from '../transfer/import.ts';

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
