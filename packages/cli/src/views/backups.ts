/** Backups that were made before the first write, and how each is restored. */
import { shellWord, type PlannedBackup, type TakenBackup } from '@keyferry/core';
import { bytesText } from './layout/numbers.ts';

export function backupLines(backups: readonly TakenBackup[]): string[] {
  return backups.flatMap(({ side, store, what, path, bytes, sha256 }) => [
    `Backup   of the ${side} ${store}: ${path}   ${bytesText(bytes)}, SHA-256 ${sha256.slice(0, 16)}…`,
    `         ${restoreText(what, path)}`,
  ]);
}

/** What brings it back, as a person is told. */
export function restoreText(what: TakenBackup['what'], path: string): string {
  return what === 'snapshot'
    ? `restore: etcdutl snapshot restore ${shellWord(path)} --data-dir DIR   (etcdctl snapshot restore before etcd 3.5)`
    : `check: sha256sum -c SHA256SUMS, in it   restore: start the member with --data-dir ${shellWord(path)}`;
}

/** For a plan. */
export function plannedBackupText(backups: readonly PlannedBackup[]): string {
  const parts = backups.map(({ side, store, what }) => `a ${what} of the ${side} ${store}`);
  return `${parts.join(' and ')}, into ${backups[0]?.into ?? ''}, before the first write`;
}
