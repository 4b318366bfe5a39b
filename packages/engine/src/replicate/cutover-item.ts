/** What the state is told of a cutover while it runs: for status, for finalize, and for whoever follows a run that died. */
import {
  KeyferryError,
  type CutoverState,
  type MigrationSpec,
  type MigrationState,
  type PrimarySide,
  type StateVersion,
} from '@keyferry/core';
import type { Engine } from '../migration.ts';
import type { Session } from '../session.ts';
import { attemptScope, currentId, readItem, writeItem } from '../state-items.ts';

interface Parts {
  readonly engine: Engine;
  readonly spec: MigrationSpec;
  readonly session: Session;
  readonly to: PrimarySide;
}

/** The item of the cutover under way, as this run writes it. */
export class CutoverItem {
  private readonly parts: Parts;
  private last: { readonly item: CutoverState; readonly version: StateVersion } | null = null;

  constructor(parts: Parts) {
    this.parts = parts;
  }

  async write(changed: Partial<CutoverState>): Promise<void> {
    const { engine, spec, session, to } = this.parts;
    const { attempt } = session.state as MigrationState;
    const scope = attemptScope(spec.migration, attempt);
    const before = this.last ?? (await readItem(engine, 'cutover', scope, currentId));
    const fresh: CutoverState = {
      to,
      outcome: 'under-way',
      undoneWhy: null,
      run: session.run,
      epoch: 0,
      startedAtMs: engine.clock.nowMs(),
      heldAtMs: null,
      endedAtMs: null,
      from: null,
      anchor: null,
      compared: 0,
    };
    // One that this run did not begin is gone on with only to say how it ended.
    const isOurs = this.last !== null || changed.outcome !== undefined;
    const item = { ...(isOurs && before !== null ? before.item : fresh), ...changed };
    const change = await writeItem(engine, 'cutover', scope, currentId, item, before?.version ?? 'absent');
    if (change.kind === 'lost') throw new KeyferryError('state.conflict', { what: `cutover of ${spec.migration}` });
    this.last = { item, version: change.version };
  }
}
