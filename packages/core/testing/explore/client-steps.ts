/** What a client may do next: start, follow the switch, begin an operation, have one request answered, fall behind. */
import {
  beginTurn,
  mayAcknowledge,
  nextTurn,
  type Operation,
  type OperationResult,
  type StoreAnswer,
  type SwitchEpoch,
  type Token,
  type Turn,
} from '../../src/index.ts';
import { answered, asked, nothing, withdrawn, type Asked, type Id, type Said } from './history.ts';
import { effectsOf } from './model-stores.ts';
import type { Protocol } from './protocol.ts';
import type { Step } from './search.ts';
import type { Client, Running, Value, World } from './world.ts';

export type OperationKind =
  'get' | 'put' | 'put-ttl' | 'delete' | 'delete-tree' | 'take' | 'create' | 'compare' | 'compare-delete';

export interface ClientOptions {
  readonly kinds: readonly OperationKind[];
  readonly protocol: Protocol;
}

/** @param at index of the client */
export function clientSteps(world: World, at: number, options: ClientOptions): Step<World>[] {
  const client = world.clients[at] as Client;
  const steps: Step<World>[] = [];
  const context: Context = { world, at, client, options, steps };
  if (client.status !== 'serving') startUp(context);
  else {
    if (client.running?.request === null) beginAgain(context);
    else if (client.running !== null) runOn(context);
    else if (client.life === 'running' && client.left > 0 && !client.mustLook) begin(context);
    if (client.life === 'running') follow(context);
    fallBehind(context);
  }
  strayOn(context);
  return steps;
}

interface Context {
  readonly world: World;
  readonly at: number;
  readonly client: Client;
  readonly options: ClientOptions;
  readonly steps: Step<World>[];
}

function step(
  { world, at, client, steps }: Context,
  label: string,
  change: Partial<Client>,
  rest: Partial<World> = {},
) {
  const clients = world.clients.with(at, { ...client, ...change });
  steps.push({ label: `${client.instance} ${label}`, world: { ...world, ...rest, clients } });
}

function startUp(context: Context): void {
  const { world, client, options } = context;
  const now = { rung: world.rung, epoch: world.epoch };
  // Nothing of it runs yet, so it acknowledges what it reads.
  const first = options.protocol.registersFirst ? 'registered' : 'read';
  if (client.status === 'new') step(context, first, { status: first, ...(first === 'read' && now) });
  else if (client.status === 'registered') {
    step(context, `starts in ${world.rung.mode}`, { status: 'serving', ...now, acknowledged: world.epoch });
  } else
    step(context, `registers, and starts in ${client.rung.mode}`, { status: 'serving', acknowledged: client.epoch });
}

function begin(context: Context): void {
  const { world, client, options } = context;
  const rules = options.protocol.ladder.table[client.rung.mode];
  for (const kind of options.kinds) {
    const number = world.operations + 1;
    const made = makeOperation(kind, number, client);
    if (made === null) continue;
    const turn = beginTurn(made.operation, rules);
    if (turn.kind !== 'ask') continue;
    const { request, stage } = turn;
    const { mode } = client.rung;
    const part = kind === 'delete-tree' ? ({ part: 'list' } as const) : {};
    const running = { number, operation: made.operation, mode, epoch: client.epoch, request, stage, ...part };
    step(
      context,
      `begins ${kind} (${number}) in ${client.rung.mode}`,
      { running, left: client.left - 1 },
      { operations: number, history: asked(world.history, number, made.asked) },
    );
  }
}

function makeOperation(
  kind: OperationKind,
  number: number,
  { seen }: Client,
): { readonly operation: Operation<Value>; readonly asked: Asked } | null {
  const id = number + 1; // 1 is what was there before
  const put = (ttlMs: number | null) => ({ kind: 'put', value: id, ttlMs }) as const;
  const remove = { kind: 'delete' } as const;
  switch (kind) {
    case 'get':
      return { operation: { kind }, asked: { kind } };
    case 'put':
    case 'put-ttl':
      return {
        operation: { kind: 'write', write: put(kind === 'put' ? null : 1000), previous: false },
        asked: { kind: 'put', id },
      };
    case 'delete-tree':
      return { operation: { kind: 'get' }, asked: { kind: 'delete' } };
    case 'delete':
    case 'take':
      return { operation: { kind: 'write', write: remove, previous: kind === 'take' }, asked: { kind } };
    case 'create':
      return {
        operation: { kind: 'compare', expect: null, write: put(null) },
        asked: { kind: 'compare', expect: nothing, id },
      };
    case 'compare':
    case 'compare-delete': {
      if (seen === null) return null;
      const write = kind === 'compare' ? put(null) : remove;
      const after = kind === 'compare' ? id : nothing;
      return {
        operation: { kind: 'compare', expect: seen.token, write },
        asked: { kind: 'compare', expect: seen.id, id: after },
      };
    }
  }
}

/** Refused as a whole because the epoch had moved, or the delete of what a list found: in the mode of now. */
function beginAgain(context: Context): void {
  const { client, options } = context;
  const { running } = context.client;
  const mayBegin = client.life === 'running' && !client.mustLook;
  if (running === null || !mayBegin || (client.epoch <= running.epoch && running.part !== 'delete')) return;
  const { mode } = client.rung;
  const turn = beginTurn(running.operation, options.protocol.ladder.table[mode]);
  if (turn.kind !== 'ask') return;
  const { request, stage } = turn;
  const again: Running = {
    number: running.number,
    operation: running.operation,
    mode,
    epoch: client.epoch,
    request,
    stage,
  };
  step(context, `begins (${running.number}) again in ${mode}`, { running: again });
}

function runOn(context: Context): void {
  const { world, client, options } = context;
  const { running } = client;
  if (running === null || running.request === null) return;
  const { request } = running;
  const isWrite = request.ask.kind === 'write';
  const name = `(${running.number}) ${request.store} ${request.ask.kind}`;
  if (client.revoked && isWrite) {
    step(context, `${name} is refused`, { running: null }, { history: withdrawn(world.history, running.number) });
  } else {
    for (const effect of effectsOf(world, { ...running, request }, options.protocol)) {
      const here = { ...context, world: effect.world };
      if (effect.answer === null)
        step(here, `${name}, half`, { running: { ...running, half: effect.half ?? { record: null } } });
      else turnOn(here, running, effect.answer, name);
    }
  }
  if (isWrite && world.budget.unknowns > 0) {
    const { mode, epoch } = running;
    const strays = [...client.strays, { mode, epoch, request }];
    const budget = { ...world.budget, unknowns: world.budget.unknowns - 1 };
    step(context, `${name} times out`, { running: null, strays }, { budget });
  }
}

function turnOn(context: Context, running: Running, answer: StoreAnswer<Value>, name: string): void {
  const { protocol } = context.options;
  const rules = protocol.ladder.table[running.mode];
  const next = nextTurn(running.operation, rules, running.stage, answer);
  const isSecondLook = next.kind === 'ask' && running.operation.kind === 'get' && next.stage.inSource === null;
  const nothingThere: Turn<Value> = { kind: 'end', result: { kind: 'read', record: null } };
  const turn = isSecondLook && !protocol.looksAgain ? nothingThere : next;
  const { half: _, ...rest } = running;
  if (turn.kind === 'ask') {
    step(context, `${name}, goes on`, { running: { ...rest, request: turn.request, stage: turn.stage } });
  } else if (turn.kind === 'restart') step(context, `${name}, too old`, { running: { ...rest, request: null } });
  else if (turn.kind === 'end') end(context, running, turn.result, name);
}

function end(
  context: Context,
  { number, operation, mode, epoch, stage, part, doubted }: Running,
  result: OperationResult<Value>,
  name: string,
): void {
  const { world, client, options } = context;
  const { history, over } = world;
  const { checksAfter, lapseIsRemembered } = options.protocol;
  const hasLapsed = client.life !== 'running' || (doubted === true && lapseIsRemembered);
  if (hasLapsed && checksAfter) {
    // It tells nobody; a write may have happened, and stays open.
    const next = operation.kind === 'get' ? withdrawn(history, number) : history;
    step(context, `${name}, tells nobody`, { running: null }, { history: next });
    return;
  }
  if (part === 'list' && result.kind === 'read' && result.record !== null) {
    const write = { kind: 'write', write: { kind: 'delete' }, previous: false } as const;
    const next: Running = { number, operation: write, mode, epoch, request: null, stage, part: 'delete' };
    step(context, `${name}, finds what to delete`, { running: next });
    return;
  }
  const said = part === 'list' ? 'done' : saidOf(result);
  if (said === null || isExcused(operation, result, client)) {
    step(context, `${name}, cannot tell`, { running: null }, { history: withdrawn(history, number) });
    return;
  }
  const seen = result.kind === 'read' && compares(options) ? seenOf(result.record) : client.seen;
  step(
    context,
    `${name}, answers ${said}`,
    { running: null, seen },
    { history: answered(history, number, said, over) },
  );
}

/** Nobody needs to remember what it read who will not compare with it. */
const compares = ({ kinds }: ClientOptions): boolean => kinds.some((kind) => kind.startsWith('compare'));

function seenOf(record: { readonly value: Id; readonly token: Token } | null): Client['seen'] {
  return record === null ? null : { id: record.value, token: record.token };
}

function saidOf(result: OperationResult<Value>): Said | null {
  switch (result.kind) {
    case 'read':
      return result.record?.value ?? nothing;
    case 'written':
      return result.previous === undefined ? 'done' : (result.previous?.value ?? nothing);
    case 'unmet':
      return 'unmet';
    case 'outdated':
      return null;
  }
}

/**
 * A comparison may fail although nobody changed the record since: by a token of what the reverse tail wrote, which is a
 * new state of the record in the other store (SPEC, known limits). It may never succeed wrongly.
 */
function isExcused(operation: Operation<Value>, result: OperationResult<Value>, { seen }: Client): boolean {
  if (operation.kind !== 'compare' || result.kind !== 'unmet' || operation.expect === null || seen === null)
    return false;
  const { store, version } = operation.expect;
  return store === 'target' || version.startsWith('r');
}

function follow(context: Context): void {
  const { world, client, options } = context;
  const { protocol } = options;
  const runs = client.running !== null && client.running.request !== null;
  const mayLook = !runs || !protocol.runningBlocksAcknowledgement;
  const isBehind = client.epoch < world.epoch;
  if (isBehind && !mayLook) return;
  const { rung, epoch } = world;
  if (!isBehind && !client.mustLook && client.acknowledged === epoch) return;
  const acknowledged = acknowledgedBy(client, epoch, protocol);
  if (!isBehind && !client.mustLook && acknowledged === client.acknowledged) return;
  step(context, `follows to ${rung.mode}${acknowledged === epoch ? ', acknowledges' : ''}`, {
    rung,
    epoch,
    acknowledged,
    mustLook: false,
  });
}

function acknowledgedBy(client: Client, epoch: SwitchEpoch, protocol: Protocol): SwitchEpoch {
  const running = client.running !== null && client.running.request !== null ? [client.running] : [];
  const open = [
    ...(protocol.runningBlocksAcknowledgement ? running : []),
    ...(protocol.unknownBlocksAcknowledgement ? client.strays : []),
  ];
  return mayAcknowledge(epoch, open) ? epoch : client.acknowledged;
}

function fallBehind(context: Context): void {
  const { world, at, client, options } = context;
  const { protocol } = options;
  if (at === 0 && client.life === 'running' && world.budget.lapses > 0) {
    const budget = { ...world.budget, lapses: world.budget.lapses - 1 };
    const running = client.running && ({ ...client.running, doubted: true } as const);
    step(context, 'is past its lease', { life: 'lapsed', running }, { budget });
  }
  if (client.life === 'lapsed') {
    if (!client.revoked) step(context, 'renews again', { life: 'running', mustLook: protocol.looksAfterLapse });
    if (!client.revoked) step(context, 'is refused by the stores from now on', { revoked: true });
    if (!protocol.namedIsGone) step(context, 'is named gone', { life: 'named' });
    const { running } = client;
    const isSent = running !== null && running.request !== null && running.request.ask.kind === 'write';
    const sent =
      isSent && running.request !== null
        ? [{ mode: running.mode, epoch: running.epoch, request: running.request }]
        : [];
    const history = running !== null && !isSent ? withdrawn(world.history, running.number) : world.history;
    step(context, 'dies', { life: 'dead', running: null, strays: [...client.strays, ...sent] }, { history });
  }
  if (client.life === 'dead') step(context, 'is named gone', { life: 'named' });
}

/** Requests whose sender waits no longer: they take effect, or the longest life of a request is over. */
function strayOn(context: Context): void {
  const { world, client, options } = context;
  client.strays.forEach((stray, index) => {
    const strays = client.strays.toSpliced(index, 1);
    step(context, `a stray ${stray.request.store} write is over`, { strays });
    if (client.revoked) return;
    for (const effect of effectsOf(world, stray, options.protocol)) {
      if (effect.answer?.answer.kind === 'written') {
        step({ ...context, world: effect.world }, `a stray ${stray.request.store} write takes effect`, { strays });
      }
    }
  });
}
