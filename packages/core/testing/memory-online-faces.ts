/**
 * The data of a memory store as applications use it while they move, beside the faces that the engine uses: so a test can
 * run both on the very same records, as on a real server.
 */
import {
  isExpected,
  rangeHolds,
  type Key,
  type KeyRange,
  type OnlineSource,
  type OnlineTarget,
  type OnlineTargetRecord,
  type Pair,
  type StoredRecord,
  type TargetEntry,
  type Version,
  type Write,
} from '../src/index.ts';
import type { ControlData } from './memory-control.ts';
import type { MemoryData } from './memory-data.ts';
import type { MemorySwitchData } from './memory-switch.ts';

export function onlineSourceOn(data: MemoryData): OnlineSource {
  return {
    role: 'source',
    ask: async (key, request) => {
      const record = data.get(key) ?? null;
      if (request.kind === 'read') return { kind: 'read', record };
      const { expect, write } = request;
      const isMet = expect === 'any' || (expect === 'absent' ? record === null : record?.version === expect.version);
      if (!isMet) return { kind: 'unmet', record };
      return { kind: 'written', version: writeInto(data, key, write), previous: record };
    },
    async *list(range: KeyRange) {
      yield data.all().filter(({ key }) => rangeHolds(range, key));
    },
    cameAfter: (version, position) => Number(version) > Number(position),
    close: async () => undefined,
  };
}

/** @param held the switch that this store holds, if it does */
export function onlineTargetOn(
  data: MemoryData,
  { tombstones, origins }: ControlData,
  held: MemorySwitchData | null,
): OnlineTarget {
  const recordOf = (record: StoredRecord): OnlineTargetRecord => {
    const origin = origins.get(record.key);
    return { ...record, copiedFrom: origin?.at === record.version ? origin.from : null };
  };
  const pairOf = (key: Key): Pair<Uint8Array> => {
    const record = data.get(key);
    return { record: record === undefined ? null : recordOf(record), tombstone: tombstones.has(key) };
  };
  return {
    role: 'target',
    comparesSwitch: held !== null,
    ask: async (key, request, seen) => {
      const pair = pairOf(key);
      if (request.kind === 'read') return { kind: 'read', pair };
      if (held !== null && (held.texts.get('record')?.version ?? null) !== seen.version) return { kind: 'epoch-moved' };
      if (!isExpected(pair, request.expect)) return { kind: 'unmet', pair };
      const version = writeInto(data, key, request.write);
      if (request.tombstone === 'write') tombstones.add(key);
      if (request.tombstone === 'clear') tombstones.delete(key);
      return { kind: 'written', version, previous: pair };
    },
    async *list(range: KeyRange) {
      const entries = new Map<Key, TargetEntry<OnlineTargetRecord>>();
      for (const key of tombstones) if (rangeHolds(range, key)) entries.set(key, { key, record: null });
      for (const record of data.all()) {
        if (rangeHolds(range, record.key)) entries.set(record.key, { key: record.key, record: recordOf(record) });
      }
      yield [...entries.values()].toSorted((a, b) => (a.key < b.key ? -1 : 1));
    },
    close: async () => undefined,
  };
}

function writeInto(data: MemoryData, key: Key, write: Write<Uint8Array>): Version | null {
  if (write.kind === 'delete') {
    data.delete(key);
    return null;
  }
  return data.put(key, write.value, write.ttlMs === null ? null : data.nowMs() + write.ttlMs);
}
