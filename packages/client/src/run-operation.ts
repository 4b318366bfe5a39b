/**
 * One operation from its beginning to its end: held back, begun, asked request by request, told or doubted.
 *
 * Which request comes next is core's decision (client-operation.ts), the same that the explorer goes through. A request
 * that failed is never repeated here: a write may have happened, and stays open until it can no longer (SPEC R27).
 */
import {
  beginTurn,
  invariant,
  isKeyferryError,
  keyForDisplay,
  KeyferryError,
  modeTable,
  nextTurn,
  type Clock,
  type Code,
  type Key,
  type OnlineSource,
  type OnlineTarget,
  type Operation,
  type OperationResult,
  type StoreAnswer,
  type SeenSwitch,
  type StoreRequest,
  type Turn,
} from '@keyferry/core';
import { modeOf, type ModeBegun, type ModePresence } from './mode-presence.ts';

export interface Runner {
  readonly presence: ModePresence;
  readonly source: OnlineSource;
  readonly target: OnlineTarget;
  readonly clock: Clock;
  readonly waitMaxMs: number;
}

/**
 * @throws {KeyferryError} `client.write-held`, `client.not-serving`, `client.named-gone`: nothing was done.
 *   `client.outcome-unknown`: a write may have happened, or may still happen. The stores' own: nothing was done.
 */
export async function runOperation(
  runner: Runner,
  key: Key,
  operation: Operation<Uint8Array>,
): Promise<OperationResult<Uint8Array>> {
  const { presence, clock, waitMaxMs } = runner;
  const untilMs = clock.monotonicMs() + waitMaxMs;
  for (;;) {
    const begun = await presence.beginWithin(untilMs);
    const turn = await run(runner, key, operation, begun);
    if (turn.kind === 'end') return turn.result;
    if (clock.monotonicMs() >= untilMs)
      throw new KeyferryError('client.write-held', { key: keyForDisplay(key), mode: modeOf(begun) });
    if (turn.kind === 'restart') presence.lookNow();
    await presence.changed(untilMs);
  }
}

async function run(
  runner: Runner,
  key: Key,
  operation: Operation<Uint8Array>,
  begun: ModeBegun,
): Promise<Exclude<Turn<Uint8Array>, { kind: 'ask' }>> {
  const { presence } = runner;
  const { operation: open, seen } = begun;
  const rules = modeTable[modeOf(begun)];
  let turn = beginTurn(operation, rules);
  while (turn.kind === 'ask') {
    const { request, stage } = turn;
    let answer: StoreAnswer<Uint8Array>;
    try {
      answer = await ask(runner, key, request, seen);
    } catch (error) {
      const known = request.ask.kind === 'read' || neverHappened(error);
      presence.end(open, known);
      throw known ? error : unknown(key, error);
    }
    turn = nextTurn(operation, rules, stage, answer);
  }
  const isCertain = presence.end(open, true);
  if (turn.kind !== 'end' || isCertain) return turn;
  throw operation.kind === 'get' ? presence.notServing() : unknown(key, undefined);
}

async function ask(
  { source, target }: Runner,
  key: Key,
  request: StoreRequest<Uint8Array>,
  seen: SeenSwitch,
): Promise<StoreAnswer<Uint8Array>> {
  if (request.store === 'source') return { store: 'source', answer: await source.ask(key, request.ask) };
  return { store: 'target', answer: await target.ask(key, request.ask, seen) };
}

/** The server's own word that it did nothing. Not among them: a connection that failed, which may have been too late. */
const refusals: readonly Code[] = [
  'store.request-refused',
  'store.permission-denied',
  'store.auth-failed',
  'store.unsupported',
  'store.out-of-space',
];

const neverHappened = (error: unknown): boolean => refusals.some((code) => isKeyferryError(error, code));

function unknown(key: Key, cause: unknown): KeyferryError {
  return new KeyferryError('client.outcome-unknown', { key: keyForDisplay(key) }, { cause });
}

/** What a certain operation came to. */
export function resultOf<K extends OperationResult<Uint8Array>['kind']>(
  result: OperationResult<Uint8Array>,
  ...kinds: readonly K[]
): Extract<OperationResult<Uint8Array>, { kind: K }> {
  invariant(
    kinds.some((kind) => kind === result.kind),
    `an operation ended as ${result.kind}`,
  );
  return result as Extract<OperationResult<Uint8Array>, { kind: K }>;
}
