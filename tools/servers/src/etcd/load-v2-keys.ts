/**
 * Fills a v2 store quickly, for tests and benchmarks that need many keys: plain PUTs over connections kept open.
 *
 * v2 has no batch request, so the speed comes from requests in flight: the server joins their log writes into one fsync.
 * Order is kept per key only if the caller gives each key once.
 */
import { clientAgent, request, type ClientTlsFiles, type Credentials } from '../net/request.ts';
import { ServerError } from '../server-error.ts';

export interface V2Entry {
  /** With leading slash. Segments are encoded here. */
  readonly key: string;
  readonly value: string;
  /** Seconds; default none. */
  readonly ttlSeconds?: number;
}

export interface LoadOptions {
  /** Requests in flight. Default 64: past that, one member only queues. */
  readonly concurrency?: number;
  readonly clientTls?: ClientTlsFiles | undefined;
  readonly credentials?: Credentials;
}

/** @returns how many keys were written. @throws {ServerError} `server.command-failed` at the first refusal. */
export async function loadV2Keys(
  endpoint: string,
  entries: Iterable<V2Entry> | AsyncIterable<V2Entry>,
  { concurrency = 64, clientTls, credentials }: LoadOptions = {},
): Promise<number> {
  const agent = clientAgent(clientTls, concurrency);
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const queue = iteratorOf(entries);
  let written = 0;
  const stopping = new AbortController();
  const worker = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const next = await queue.next();
      if (next.done === true) return;
      const { key, value, ttlSeconds } = next.value;
      const form = new URLSearchParams({ value, ...(ttlSeconds !== undefined && { ttl: String(ttlSeconds) }) });
      const options = { method: 'PUT', headers, body: form.toString(), agent, ...(credentials && { credentials }) };
      const { status, body } = await request(v2KeyUrl(endpoint, key), options);
      if (status !== 200 && status !== 201) {
        const remedy = 'A 404 means the server was started without enableV2.';
        throw new ServerError('server.command-failed', `PUT ${key} was answered ${status}: ${body.trim()}`, remedy);
      }
      written += 1;
    }
  };
  const stopOthers = (error: unknown): never => {
    stopping.abort();
    throw error;
  };
  try {
    await Promise.all(Array.from({ length: concurrency }, () => worker().catch(stopOthers)));
    return written;
  } finally {
    agent.destroy();
  }
}

/** Address of a v2 key: each segment percent-encoded, the slashes between them kept. */
export function v2KeyUrl(endpoint: string, key: string): string {
  return `${endpoint}/v2/keys${key.split('/').map(encodeURIComponent).join('/')}`;
}

/** One iterator for all workers; calls to an async generator queue up, so sharing it is safe. */
function iteratorOf<T>(entries: Iterable<T> | AsyncIterable<T>): {
  next(): IteratorResult<T> | Promise<IteratorResult<T>>;
} {
  return Symbol.asyncIterator in entries ? entries[Symbol.asyncIterator]() : entries[Symbol.iterator]();
}
