/** The two stores as the explorer knows them: what one request does, and what may be answered. */
import type {
  Pair,
  SourceAnswer,
  SourceRequest,
  StoreAnswer,
  SwitchEpoch,
  TargetAnswer,
  TargetExpectation,
  TargetRecord,
  TargetRequest,
  Version,
  Write,
} from '../../src/index.ts';
import { nothing } from './history.ts';
import type { Protocol } from './protocol.ts';
import type { Cell, Stray, Running, Value, World } from './world.ts';

type Sent = Pick<Stray, 'mode' | 'epoch' | 'request'> & Pick<Running, 'half'>;

export interface Effect {
  readonly world: World;
  /** Null: the first half of it is done, where a rule is off. */
  readonly answer: StoreAnswer<Value> | null;
  readonly half?: Running['half'];
}

/** All that may come of one request; more than one only where a rule is off. */
export function effectsOf(world: World, sent: Sent, protocol: Protocol): readonly Effect[] {
  const { request } = sent;
  if (request.store === 'source') return inSource(world, request.ask, protocol);
  return [inTarget(world, request.ask, sent, protocol)];
}

function inSource(world: World, ask: SourceRequest<Value>, protocol: Protocol): readonly Effect[] {
  const answered = (next: World, answer: SourceAnswer<Value>): Effect => ({
    world: next,
    answer: { store: 'source', answer },
  });
  const { source } = world;
  if (ask.kind === 'read') {
    const seen = protocol.readsAreCurrent ? [source] : [source, world.sourceBefore];
    return seen.map((record) => answered(world, { kind: 'read', record: toSource(record) }));
  }
  const { expect, write } = ask;
  const isMet =
    expect === 'any' || (expect === 'absent' ? source === null : source !== null && source.version === expect.version);
  if (!isMet) return [answered(world, { kind: 'unmet', record: toSource(source) })];
  const cell = written(write, 's');
  return [
    answered(changeSource(world, cell, protocol), {
      kind: 'written',
      version: cell?.version ?? null,
      previous: toSource(source),
    }),
  ];
}

/** @param protocol decides whether anybody may still see what was there before */
export function changeSource(world: World, source: Cell | null, { readsAreCurrent }: Protocol): World {
  return { ...world, source, sourceBefore: readsAreCurrent ? null : world.source };
}

function inTarget(world: World, ask: TargetRequest<Value>, sent: Sent, protocol: Protocol): Effect {
  const answered = (next: World, answer: TargetAnswer<Value>): Effect => ({
    world: next,
    answer: { store: 'target', answer },
  });
  if (ask.kind === 'read') {
    if (protocol.oneSnapshot) return answered(world, { kind: 'read', pair: pairSeen(world, sent, protocol) });
    if (sent.half === undefined) return { world, answer: null, half: { record: toTarget(world.target) } };
    const { tombstone } = pairSeen(world, sent, protocol);
    return answered(world, { kind: 'read', pair: { record: sent.half.record, tombstone } });
  }
  if (protocol.epochCompare && sent.epoch !== world.epoch) return answered(world, { kind: 'epoch-moved' });
  if (!protocol.deletesInTarget && ask.write.kind === 'delete') return deletedInBoth(world, sent, protocol);
  const before = { record: toTarget(world.target), tombstone: world.tombstone };
  if (sent.half !== undefined) {
    const next = { ...world, tombstone: tombstoneAfter(world, ask, protocol) };
    return answered(next, { kind: 'written', version: null, previous: { record: sent.half.record, tombstone: false } });
  }
  if (!holds(before, ask.expect)) return answered(world, { kind: 'unmet', pair: before });
  const target = written(ask.write, 't');
  const changed = noted({ ...world, target }, target);
  if (!protocol.oneTransaction) return { world: changed, answer: null, half: { record: before.record } };
  const tombstone = tombstoneAfter(world, ask, protocol);
  return answered({ ...changed, tombstone }, { kind: 'written', version: target?.version ?? null, previous: before });
}

function pairSeen(world: World, { mode }: Sent, protocol: Protocol): Pair<Value> {
  const tombstone = world.tombstone && (protocol.drainingSeesTombstones || mode !== 'draining');
  return { record: protocol.recordWins || !tombstone ? toTarget(world.target) : null, tombstone };
}

function tombstoneAfter(
  world: World,
  { write, tombstone }: Extract<TargetRequest<Value>, { kind: 'write' }>,
  protocol: Protocol,
): boolean {
  const isPut = write.kind === 'put';
  if (tombstone === 'leave') return world.tombstone;
  return tombstone === 'write' && (protocol.ttlWritesTombstone || !isPut);
}

function holds({ record, tombstone }: Pair<Value>, expect: TargetExpectation): boolean {
  if (expect === 'any') return true;
  if (expect === 'absent') return record === null;
  return expect === 'fresh' ? record === null && !tombstone : record?.version === expect.version;
}

function deletedInBoth(world: World, sent: Sent, protocol: Protocol): Effect {
  if (sent.half === undefined)
    return { world: changeSource(world, null, protocol), answer: null, half: { record: null } };
  const previous = { record: toTarget(world.target), tombstone: false };
  const answer: StoreAnswer<Value> = { store: 'target', answer: { kind: 'written', version: null, previous } };
  return { world: { ...world, target: null }, answer };
}

/** For the reverse tail, as long as there is one. */
export function noted(world: World, cell: Cell | null): World {
  if (world.untailed === noTail || world.rung.committed === 'normal') return world;
  return { ...world, untailed: [...world.untailed, { id: cell?.id ?? nothing, ttl: cell?.ttl ?? false }] };
}

/** In place of the changes that wait: nothing tails. */
export const noTail: World['untailed'] = [];

function written(write: Write<Value>, store: 's' | 't'): Cell | null {
  if (write.kind === 'delete') return null;
  const { value, ttlMs } = write;
  return { id: value, ttl: ttlMs !== null, version: `${store}${value}` as Version, copiedFrom: null };
}

const toSource = (cell: Cell | null) => (cell === null ? null : { value: cell.id, version: cell.version });

function toTarget(cell: Cell | null): TargetRecord<Value> | null {
  return cell === null ? null : { value: cell.id, version: cell.version, copiedFrom: cell.copiedFrom };
}

export const firstEpoch = 1 as SwitchEpoch;
