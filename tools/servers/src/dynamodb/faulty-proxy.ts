/**
 * An HTTP proxy in front of DynamoDB Local that does what the emulator never does: it throttles, fails after the write was
 * done, delivers a request twice, hangs, answers in pages of a few items, and leaves part of a batch undone.
 *
 * A fault is planted for the next requests of an operation, or decided on request by request; what has none passes. Each
 * request is counted.
 */
import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type DynamoDbFault =
  /** Refused before anything happens, with this error's name; 400, or 500 for one of the server. */
  | {
      readonly kind: 'refuse';
      readonly error: string;
      readonly status?: number;
      readonly message?: string;
      /** Further members of the answer: `CancellationReasons`. */
      readonly more?: Readonly<Record<string, unknown>>;
    }
  /** It is done, and the connection closes without an answer. */
  | { readonly kind: 'drop-answer' }
  /** It is done twice, and the second answer is the one that is heard: a conditional write then fails. */
  | { readonly kind: 'deliver-twice' }
  /** No answer, ever, and nothing is done. */
  | { readonly kind: 'hang' }
  /** Only so many of a batch are done; the rest come back as not processed. */
  | { readonly kind: 'process-only'; readonly items: number }
  /** A page of a query ends after so many items. */
  | { readonly kind: 'page'; readonly items: number }
  /** It is done, and the answer is heard as this makes it. */
  | { readonly kind: 'edit-answer'; readonly edit: (answer: Record<string, unknown>) => Record<string, unknown> }
  /** Calls this, and then lets it pass. */
  | { readonly kind: 'before'; readonly act: () => Promise<void> };

export interface FaultyDynamoDb {
  readonly endpoint: string;
  /** Requests so far, by operation: `PutItem`. */
  readonly counts: ReadonlyMap<string, number>;
  /** The next `times` requests of this operation have the fault; by default the next one. */
  plant(operation: string, fault: DynamoDbFault, times?: number): void;
  /** What was planted and did not come to pass. */
  unspent(): number;
  close(): Promise<void>;
}

interface Planted {
  readonly operation: string;
  readonly fault: DynamoDbFault;
  left: number;
}

interface Reply {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/**
 * @param behind endpoint of the emulator
 * @param decide the fault of a request for which none is planted
 */
export async function startFaultyDynamoDb(
  behind: string,
  decide: (operation: string) => DynamoDbFault | null = () => null,
): Promise<FaultyDynamoDb> {
  const planted: Planted[] = [];
  const counts = new Map<string, number>();
  const server = createServer((incoming, outgoing) => {
    // A connection that one side has given up.
    pass(incoming, outgoing).catch(() => outgoing.destroy());
  });

  async function pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const operation = String(incoming.headers['x-amz-target']).split('.')[1] ?? '';
    counts.set(operation, (counts.get(operation) ?? 0) + 1);
    const body = await textOf(incoming);
    const next = planted.find((each) => each.operation === operation && each.left > 0);
    if (next !== undefined) next.left -= 1;
    const reply = await answer(next?.fault ?? decide(operation), incoming, body);
    if (reply === 'hang') return;
    if (reply === 'drop') {
      outgoing.destroy();
      return;
    }
    outgoing.writeHead(reply.status, { 'content-type': 'application/x-amz-json-1.0' });
    outgoing.end(reply.body);
  }

  async function answer(
    fault: DynamoDbFault | null,
    incoming: IncomingMessage,
    body: string,
  ): Promise<Reply | 'drop' | 'hang'> {
    const forward = (text: string): Promise<Reply> => send(behind, incoming, text);
    switch (fault?.kind) {
      case undefined:
        return await forward(body);
      case 'refuse': {
        const { error, status = 400, message = 'a fault that was planted', more = {} } = fault;
        const type = `com.amazonaws.dynamodb.v20120810#${error}`;
        return { status, headers: {}, body: JSON.stringify({ __type: type, message, ...more }) };
      }
      case 'drop-answer':
        await forward(body);
        return 'drop';
      case 'deliver-twice':
        await forward(body);
        return await forward(body);
      case 'hang':
        return 'hang';
      case 'page':
        return await forward(JSON.stringify({ ...(JSON.parse(body) as object), Limit: fault.items }));
      case 'process-only':
        return await processOnly(fault.items, body, forward);
      case 'edit-answer': {
        const reply = await forward(body);
        return { ...reply, body: JSON.stringify(fault.edit(JSON.parse(reply.body) as Record<string, unknown>)) };
      }
      case 'before':
        await fault.act();
        return await forward(body);
    }
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    counts,
    plant: (operation, fault, times = 1) => void planted.push({ operation, fault, left: times }),
    unspent: () => planted.reduce((sum, { left }) => sum + left, 0),
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Both batches name one table here. */
async function processOnly(items: number, body: string, forward: (body: string) => Promise<Reply>): Promise<Reply> {
  const input = JSON.parse(body) as { RequestItems: Record<string, unknown[] | { Keys: unknown[] }> };
  const [table, asked] = Object.entries(input.RequestItems)[0] ?? ['', []];
  const all = Array.isArray(asked) ? asked : asked.Keys;
  const requestFor = (some: unknown[]) => ({ [table]: Array.isArray(asked) ? some : { ...asked, Keys: some } });
  const left = all.slice(items);
  const unprocessed = left.length === 0 ? {} : requestFor(left);
  const name = Array.isArray(asked) ? 'UnprocessedItems' : 'UnprocessedKeys';
  if (items === 0) {
    const nothing = Array.isArray(asked) ? {} : { Responses: { [table]: [] } };
    return { status: 200, headers: {}, body: JSON.stringify({ ...nothing, [name]: unprocessed }) };
  }
  const reply = await forward(JSON.stringify({ ...input, RequestItems: requestFor(all.slice(0, items)) }));
  return { ...reply, body: JSON.stringify({ ...(JSON.parse(reply.body) as object), [name]: unprocessed }) };
}

function send(behind: string, incoming: IncomingMessage, body: string): Promise<Reply> {
  const { 'content-length': _length, host: _host, ...headers } = incoming.headers;
  return new Promise((resolve, reject) => {
    const outgoing = request(
      behind,
      { method: 'POST', headers: { ...headers, 'content-length': Buffer.byteLength(body) } },
      (reply) => {
        textOf(reply).then(
          (text) => resolve({ status: reply.statusCode ?? 0, headers: reply.headers, body: text }),
          reject,
        );
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

async function textOf(stream: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
