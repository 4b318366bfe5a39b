/**
 * The rules of the online protocol as switches. Every one is on; with one off, a seed must break a property. Each is
 * broken where it lives: in what a store does, in what the controller is told, in what an instance assumes.
 */
import {
  noCounts,
  type OnlineSource,
  type OnlineTarget,
  type Position,
  type RegistrationRecord,
  type StateEntry,
  type StateItems,
  type StateKind,
  type StateStore,
  type StateVersion,
  type Switch,
  type SwitchEntry,
  type SwitchEpoch,
  type TargetEntry,
  type OnlineTargetRecord,
  type Verification,
} from '@keyferry/core';
import { counterKey } from './tree-names.ts';

export interface OnlineRules {
  /** Backfill writes only where no key is (SPEC R35). Off: over whatever is there. */
  readonly absentGuard: boolean;
  /** Backfill leaves a key with a tombstone alone (R35). Off: it brings the key back. */
  readonly tombstoneGuard: boolean;
  /** A delete leaves a tombstone (R31). Off: the read falls back to what the source still holds. */
  readonly tombstoneOfDelete: boolean;
  /** So does a put with a TTL (R32). Off: its end brings the source's record back. */
  readonly tombstoneOfTtl: boolean;
  /** A mode change waits for every instance (R24, R29). Off: all seem to have acknowledged it. */
  readonly barrier: boolean;
  /** An operation whose outcome is unknown is still under way (R27). Off: it counts as over. */
  readonly requestLife: boolean;
  /** On the way back, what applications wrote in the target is carried into the source (R36). Off: nothing is. */
  readonly drain: boolean;
  /** What lies below a directory is looked for in both stores (R110). Off: in the target alone, once it is looked at. */
  readonly treeInBoth: boolean;
  /** A number is taken from the counter that was read, and from no other (R112). Off: from whatever it is by then. */
  readonly counterCompared: boolean;
  /** Functions copy once `migrating` stands in the switch (R67). Off: as soon as `draining` does. */
  readonly copyBehindFreeze: boolean;
  /** Functions lead applications to `settled` by a proof (R68). Off: they take it for given. */
  readonly settleByProof: boolean;
  /** Whoever slept is shut out of its chunk and of its attempt (R65). Off: what it still sends is taken. */
  readonly fences: boolean;
}

export const allOnlineRules: OnlineRules = {
  absentGuard: true,
  tombstoneGuard: true,
  tombstoneOfDelete: true,
  tombstoneOfTtl: true,
  barrier: true,
  requestLife: true,
  drain: true,
  treeInBoth: true,
  counterCompared: true,
  copyBehindFreeze: true,
  settleByProof: true,
  fences: true,
};

/** The source as instances use it. */
export function sourceUnder(rules: OnlineRules, source: OnlineSource): OnlineSource {
  if (rules.treeInBoth && rules.counterCompared) return source;
  return changed(source, {
    ask: (key, request) => {
      if (rules.counterCompared || key !== counterKey || request.kind !== 'write') return source.ask(key, request);
      return source.ask(key, { ...request, expect: 'any' });
    },
    list: (range) => (rules.treeInBoth ? source.list(range) : nothing()),
  });
}

async function* nothing(): AsyncGenerator<never, void, undefined> {}

/** The target as instances use it, without the tombstones that a rule asks for. */
export function targetUnder(rules: OnlineRules, target: OnlineTarget): OnlineTarget {
  if (rules.tombstoneOfDelete && rules.tombstoneOfTtl && rules.counterCompared) return target;
  return changed(target, {
    ask: (key, request, seen) => {
      if (!rules.counterCompared && key === counterKey && request.kind === 'write') {
        return target.ask(key, { ...request, expect: 'any' }, seen);
      }
      if (request.kind !== 'write' || request.tombstone !== 'write') return target.ask(key, request, seen);
      const keeps = request.write.kind === 'delete' ? rules.tombstoneOfDelete : rules.tombstoneOfTtl;
      return target.ask(key, keeps ? request : { ...request, tombstone: 'clear' }, seen);
    },
  });
}

/** The target as the controller reads it: without the drain, as if no application had written it. */
export function controllersTarget(rules: OnlineRules, target: OnlineTarget): OnlineTarget {
  if (rules.drain) return target;
  return changed(target, {
    async *list(range) {
      for await (const page of target.list(range)) yield page.flatMap(asCopied);
    },
  });
}

const asCopied = ({ key, record }: TargetEntry<OnlineTargetRecord>): readonly TargetEntry<OnlineTargetRecord>[] =>
  record === null ? [] : [{ key, record: { ...record, copiedFrom: record.copiedFrom ?? record.version } }];

/** The switch as the controller reads it: without barriers, as if everybody had acknowledged everything. */
export function controllersSwitch(rules: OnlineRules, place: Switch): Switch {
  if (rules.barrier) return place;
  return changed(place, {
    registrations: async (): Promise<readonly SwitchEntry<RegistrationRecord>[]> => {
      const acknowledged = (await place.read())?.value.epoch ?? (0 as SwitchEpoch);
      return (await place.registrations()).map(({ value, version }) => ({
        value: { ...value, acknowledged },
        version,
      }));
    },
  });
}

/** The switch as a function that copies reads it: without the rule, as if the source were frozen once instances are told. */
export function copiersSwitch(rules: OnlineRules, place: Switch): Switch {
  if (rules.copyBehindFreeze) return place;
  return changed(place, {
    read: async () => {
      const entry = await place.read();
      if (entry?.value.mode !== 'draining' || entry.value.heldFrom !== 'legacy') return entry;
      return { ...entry, value: { ...entry.value, mode: 'migrating', frozenAt: 'not yet' as Position } };
    },
  });
}

/** The state as a function that compares reads it: without the rule, as if all were compared and in agreement. */
export function verifiersState(rules: OnlineRules, state: StateStore, nowMs: () => number): StateStore {
  if (rules.settleByProof) return state;
  const proof = (): Verification => ({
    number: 1,
    startedAtMs: nowMs(),
    sourcePosition: '',
    targetPosition: '',
    ended: { atMs: nowMs(), verdict: 'agree', deviations: 0 },
  });
  async function read<K extends StateKind>(kind: K, scope: string, id: string): Promise<StateEntry<K> | null> {
    const entry = await state.read(kind, scope, id);
    if (kind === 'verification') {
      return { id, version: entry?.version ?? ('none' as StateVersion), item: proof() as StateItems[K] };
    }
    if (kind !== 'migration' || entry === null) return entry;
    const item = entry.item as StateItems['migration'];
    const isUnderWay = item.phase === 'applying' || item.phase === 'applied';
    const proven = isUnderWay ? { ...item, phase: 'verified', counts: item.counts ?? noCounts } : item;
    return { ...entry, item: proven as StateItems[K] };
  }
  return changed(state, { read });
}

/** `whole` with some of its members replaced; its own methods keep their `this`. */
function changed<T extends object>(whole: T, members: Partial<T>): T {
  return new Proxy(whole, {
    get(target, name) {
      const member: unknown = Reflect.get(Object.hasOwn(members, name) ? members : target, name);
      return typeof member === 'function' && !Object.hasOwn(members, name) ? (member.bind(target) as unknown) : member;
    },
  });
}
