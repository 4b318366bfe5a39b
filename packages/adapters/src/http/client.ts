/**
 * A small HTTP client over node:http(s), for the adapters whose store speaks HTTP.
 *
 *     connect ──► send ──► head of the answer ──► body, piece by piece ──► end
 *        each arrow has its own limit of time; a body that stops before its end is an error, never a short answer
 *
 * node:http and not fetch: fetch cannot present a client certificate, hides the reason of a failed connection and
 * follows redirects. Here a redirect is an answer like any other: a store that moved is for people to decide.
 * Retries belong to the engine; the one exception is a kept connection that the server closed in the very moment it
 * was used again, which says nothing about the server.
 */
import { Agent as HttpAgent, request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { KeyferryError, type Code } from '@keyferry/core';
import { HttpAnswer } from './answer.ts';
import { codeOf, connectionError } from './errors.ts';
import { parseEndpoint, type Endpoint } from './endpoint.ts';
import { explainReset } from './explain-reset.ts';
import { defaultTimeouts, type HttpClientOptions, type HttpTimeouts } from './options.ts';

const connectionsMax = 64;

export interface HttpRequest {
  /** Default GET. */
  readonly method?: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** From the slash on, already encoded, with its query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  /** Overrides for this request. */
  readonly timeouts?: Partial<HttpTimeouts>;
  /** Default true. False leaves the user out, for a URL that the server and not the configuration named. */
  readonly authenticated?: boolean;
}

export class HttpClient {
  /** As configured, without a path; none of them holds a secret. */
  readonly endpoints: readonly string[];
  private readonly store: string;
  private readonly options: HttpClientOptions;
  private readonly timeouts: HttpTimeouts;
  private readonly agents: { readonly http: HttpAgent; readonly https: HttpsAgent };
  private preferred = 0;

  /** @throws {KeyferryError} `usage.invalid` for an endpoint that is not one, `store.tls-failed` for unusable PEM. */
  constructor(options: HttpClientOptions) {
    this.options = options;
    this.store = options.store;
    this.endpoints = options.endpoints.map((text) => parseEndpoint(options.store, text).origin);
    this.timeouts = { ...defaultTimeouts, ...options.timeouts };
    const pool = { keepAlive: true, maxSockets: connectionsMax };
    this.agents = { http: new HttpAgent(pool), https: new HttpsAgent({ ...pool, ...tlsFields(options) }) };
  }

  /**
   * Asks one endpoint after the other, beginning with the one that answered last, until `use` succeeds. For reads
   * only: a write whose answer was lost may have happened. `use` gets the answer with its body unread.
   * @throws {KeyferryError} the most telling failure; `store.unreachable`, `store.timeout`, `store.no-leader` and
   *   `store.tls-failed` move on to the next endpoint, anything else is final.
   */
  async read<T>(request: HttpRequest, use: (answer: HttpAnswer) => Promise<T>): Promise<T> {
    const first = this.preferred;
    let failure: unknown;
    for (let i = 0; i < this.endpoints.length; i += 1) {
      const at = (first + i) % this.endpoints.length;
      try {
        const result = await use(await this.send(this.endpoints[at] ?? '', request));
        this.preferred = at;
        return result;
      } catch (error) {
        const rank = rankOf(error);
        if (rank < 0) throw error;
        if (failure === undefined || rank > rankOf(failure)) failure = error;
        this.preferred = (at + 1) % this.endpoints.length;
      }
    }
    throw failure;
  }

  /**
   * Sends once, to the endpoint that answered last. For writes: whether one that failed has happened is for the caller
   * to find out; the next one goes to another endpoint then.
   */
  async write<T>(request: HttpRequest, use: (answer: HttpAnswer) => Promise<T>): Promise<T> {
    const at = this.preferred;
    try {
      return await use(await this.send(this.endpoints[at] ?? '', request));
    } catch (error) {
      if (rankOf(error) >= 0 && this.preferred === at) this.preferred = (at + 1) % this.endpoints.length;
      throw error;
    }
  }

  /** Sends to one endpoint, once. Read the answer's body to its end, or `discard()` it. */
  async send(endpoint: string, request: HttpRequest): Promise<HttpAnswer> {
    const target = parseEndpoint(this.store, endpoint);
    const doing = `${request.method ?? 'GET'} ${target.origin}${request.path}`;
    for (let repeatsLeft = staleMax; ; repeatsLeft -= 1) {
      try {
        return await this.exchange(target, request, doing, repeatsLeft > 0);
      } catch (error) {
        if (!(error instanceof StaleConnection)) throw error;
      }
    }
  }

  close(): void {
    this.agents.http.destroy();
    this.agents.https.destroy();
  }

  private async exchange(
    target: Endpoint,
    request: HttpRequest,
    doing: string,
    mayRepeat: boolean,
  ): Promise<HttpAnswer> {
    const timeouts = { ...this.timeouts, ...request.timeouts };
    const outgoing = this.start(target, request, doing);
    try {
      const incoming = await headOf(outgoing, request.body, timeouts, (what, ms) => this.timeout(doing, what, ms));
      return new HttpAnswer(incoming, { store: this.store, doing, idleMs: timeouts.idleMs });
    } catch (error) {
      outgoing.destroy();
      const repeatable = request.body === undefined || request.body instanceof Uint8Array;
      const safe = request.method === undefined || request.method === 'GET' || request.method === 'HEAD';
      if (mayRepeat && outgoing.reusedSocket && isReset(error) && repeatable && safe) throw new StaleConnection();
      const cause = isReset(error) ? await explainReset(target, this.options.tls, error) : error;
      throw connectionError(this.store, doing, cause);
    }
  }

  private start(target: Endpoint, request: HttpRequest, doing: string): ClientRequest {
    const { auth } = this.options;
    const headers: Record<string, string | number> = { accept: '*/*', ...request.headers };
    if (auth !== undefined && request.authenticated !== false) {
      headers['authorization'] = `Basic ${Buffer.from(`${auth.user}:${auth.password}`, 'utf8').toString('base64')}`;
    }
    if (request.body instanceof Uint8Array) headers['content-length'] = request.body.byteLength;
    const { hostname, port } = target;
    const options = { hostname, port, method: request.method ?? 'GET', path: request.path, headers };
    try {
      return target.secure
        ? httpsRequest({ ...options, agent: this.agents.https })
        : httpRequest({ ...options, agent: this.agents.http });
    } catch (error) {
      // Certificates and keys that cannot be parsed fail here and not on the wire.
      throw connectionError(this.store, doing, error);
    }
  }

  private timeout(doing: string, what: string, ms: number): KeyferryError {
    return new KeyferryError('store.timeout', { store: this.store, detail: `${doing}: ${what} within ${ms} ms` });
  }
}

/** So many idle connections may have died at once before a read that meets another one is told to fail. */
const staleMax = 4;

/** A marker between two functions of this file; nobody else sees it. */
class StaleConnection extends Error {}

function isReset(error: unknown): boolean {
  return codeOf(error) === 'ECONNRESET' || codeOf(error) === 'EPIPE';
}

/** Failures of one endpoint that say nothing of the next, from the least to the most that they tell of the store. */
const passing: readonly Code[] = ['store.unreachable', 'store.timeout', 'store.tls-failed', 'store.no-leader'];

function rankOf(error: unknown): number {
  return error instanceof KeyferryError ? passing.indexOf(error.code) : -1;
}

function tlsFields({ tls }: HttpClientOptions): object {
  if (tls === undefined) return {};
  const pem = (content: string | Uint8Array) => (typeof content === 'string' ? content : Buffer.from(content));
  return {
    ...(tls.ca !== undefined && { ca: pem(tls.ca) }),
    ...(tls.cert !== undefined && { cert: pem(tls.cert) }),
    ...(tls.key !== undefined && { key: pem(tls.key) }),
    ...(tls.serverName !== undefined && { servername: tls.serverName }),
  };
}

/** Sends the body and waits for the head of the answer, under the limits for connecting and for answering. */
function headOf(
  outgoing: ClientRequest,
  body: HttpRequest['body'],
  timeouts: HttpTimeouts,
  timeout: (what: string, ms: number) => KeyferryError,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const limit = (what: string, ms: number): void => {
      clearTimeout(timer);
      timer = setTimeout(() => outgoing.destroy(timeout(what, ms)), ms);
    };
    const fail = (error: unknown): void => {
      clearTimeout(timer);
      reject(error instanceof Error ? error : new TypeError(String(error)));
    };
    outgoing.on('error', fail); // stays: after the head it keeps a late error of the socket from ending the process
    outgoing.once('response', (incoming) => {
      clearTimeout(timer);
      resolve(incoming);
    });
    limit('no connection', timeouts.connectMs);
    outgoing.once('socket', (socket) => {
      const connected = (): void => limit('no answer', timeouts.headersMs);
      if (!socket.connecting) connected();
      else socket.once('encrypted' in socket ? 'secureConnect' : 'connect', connected);
    });
    if (body === undefined || body instanceof Uint8Array) outgoing.end(body);
    else pipeline(Readable.from(body, { objectMode: false }), outgoing).catch(fail);
  });
}
