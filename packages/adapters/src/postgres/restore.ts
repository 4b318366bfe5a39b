/** Going back: removing what the migration created, and putting back what it overwrote or deleted. */
import {
  keyToBytes,
  restoreStep,
  type BeforeImage,
  type CreatedRecord,
  type Fence,
  type RemoveOutcome,
  type RestoreStep,
  type Restoration,
  type RestoreOutcome,
} from '@keyferry/core';
import type { ControlContext } from './control-tables.ts';
import { lookUpRows } from './look-up.ts';
import { dropMemory, memoryOf, originOf, readMemory, writeMarks } from './marks.ts';
import { byTable, deleteRows, insertRows, ownVersion, updateRows, type RowInput } from './rows.ts';
import type { ResolvedTable } from './catalog.ts';
import type { Session } from './session.ts';
import type { Tables } from './tables.ts';

type Entry = RowInput & { readonly table: ResolvedTable };

export async function removeRows(
  session: Session,
  tables: Tables,
  control: ControlContext,
  records: readonly CreatedRecord[],
): Promise<readonly RemoveOutcome[]> {
  const outcomes: RemoveOutcome[] = records.map(() => 'absent');
  const entries = records.flatMap(({ key, version }, ord): Entry[] => {
    const located = tables.locate(key);
    return located === null ? [] : [{ ...located, ord, key, value: null, expect: version }];
  });
  for (const [table, inputs] of byTable(entries)) {
    for (const ord of await deleteRows(session, table, inputs)) outcomes[ord] = 'removed';
  }
  const left = records.filter((_, ord) => outcomes[ord] !== 'removed').map(({ key }) => key);
  const present = await lookUpRows(session, tables, left);
  const changed = new Set(present.flatMap((record) => (record === null ? [] : [record.key])));
  const removed = records.filter((_, ord) => outcomes[ord] === 'removed').map(({ key }) => keyToBytes(key));
  await dropMemory(session, control, 'marks', removed);
  return records.map(({ key }, ord) =>
    outcomes[ord] !== 'removed' && changed.has(key) ? 'changed' : (outcomes[ord] ?? 'absent'),
  );
}

/** All images of one call are of different keys, and the rows that are there are locked until the transaction ends. */
export async function restoreRows(
  session: Session,
  tables: Tables,
  control: ControlContext,
  restorations: readonly Restoration[],
  epoch: Fence,
  nowMs: number,
): Promise<readonly RestoreOutcome[]> {
  const keys = restorations.map(({ image }) => image.key);
  const present = await lookUpRows(session, tables, keys, true);
  const memory = await readMemory(session, control, keys);
  const outcomes: RestoreOutcome[] = [];
  const entries: (Entry & {
    readonly step: Exclude<RestoreStep, { kind: 'leave' }>;
    readonly isThere: boolean;
    readonly image: BeforeImage;
  })[] = [];
  for (const [ord, restoration] of restorations.entries()) {
    const { image } = restoration;
    const known = memoryOf(memory, image.key);
    const record = present[ord] ?? null;
    const now = record === null ? null : { ...record, origin: originOf(known, record.version) };
    const step = restoreStep(restoration, now, known.deletedBy !== null && !known.tombstoned, nowMs);
    const located = tables.locate(image.key);
    outcomes[ord] = located === null ? 'changed' : step.outcome;
    if (step.kind === 'leave' || located === null) continue;
    const value = step.kind === 'put' ? image.value : null;
    entries.push({
      ...located,
      ord,
      key: image.key,
      value,
      expect: record?.version ?? null,
      step,
      isThere: record !== null,
      image,
    });
  }
  for (const [table, group] of byTable(entries)) {
    const removals = group.filter(({ step, isThere }) => step.kind === 'remove' && isThere);
    const updates = group.filter(({ step, isThere }) => step.kind === 'put' && isThere);
    const inserts = group.filter(({ step, isThere }) => step.kind === 'put' && !isThere);
    if (removals.length > 0) await deleteRows(session, table, removals);
    if (updates.length > 0) await updateRows(session, table, updates);
    const inserted = inserts.length === 0 ? new Set<string>() : await insertRows(session, table, inserts);
    // Where nothing was there is nothing to lock: somebody may have been quicker, and then it is theirs.
    for (const { ord, key } of inserts) if (!inserted.has(key)) outcomes[ord] = 'changed';
  }
  const done = entries.filter(({ ord, step }) => outcomes[ord] === step.outcome);
  const foreign = done.filter(({ image }) => image.origin === 'foreign').map(({ key }) => keyToBytes(key));
  await dropMemory(session, control, 'deletions', foreign);
  const own = done.filter(({ step }) => step.kind === 'put' && step.own).map(({ key }) => ({ key, created: false }));
  if (own.length > 0) await writeMarks(session, control, epoch.attempt, await ownVersion(session), own);
  return outcomes;
}
