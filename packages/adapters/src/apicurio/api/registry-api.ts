/**
 * A registry's REST API, of whichever release: authenticated requests, and answers that are believed only once they have the
 * form that was asked for.
 *
 *     get, getOrNull    JSON by a schema          read     a body as a stream          send     a write, sent once
 *
 * Each is given up when the signal aborts. A JSON read that failed for a while is made again, as often as the engine's retries that
 * the connection was lent allow: a walk is thousands of them, and one slow answer must not end it. Reads move on to the next endpoint; a write is sent once, as nobody knows whether
 * one that failed has happened. A token that is refused is asked for anew, once.
 */
import type { Repeat, StopSignal } from '@keyferry/core';
import type { z } from 'zod';
import type { HttpAnswer } from '../../http/answer.ts';
import { HttpClient, type HttpRequest } from '../../http/client.ts';
import { TokenSource, type ClientCredentials } from '../../http/client-credentials.ts';
import type { BasicAuth, HttpTimeouts, TlsOptions } from '../../http/options.ts';
import { readRefusal, refusalError, unexpected, type Refusal } from './errors.ts';

export interface RegistryConnection {
  /** The store's name in the configuration: errors carry it. */
  readonly name: string;
  /** `http://host:port` or `https://host:port`; at least one. */
  readonly endpoints: readonly string[];
  readonly tls?: TlsOptions | undefined;
  /** At most one of `auth` and `oidc`. */
  readonly auth?: BasicAuth | undefined;
  readonly oidc?: ClientCredentials | undefined;
  /** Where `/health/ready` is, when that is another port; of 3.2 and later it is. */
  readonly health?: string | undefined;
  /** Until the head of an answer. Default 30,000. */
  readonly requestTimeoutMs?: number | undefined;
  /** How long an export or import may take until its head. Default 30 minutes: a server answers an import when it is over. */
  readonly transferTimeoutMs?: number | undefined;
  /** Learns each token before it is used. */
  readonly onToken?: ((token: string) => void) | undefined;
  /** Makes a read again that failed for a while. Default: none is. */
  readonly repeat?: Repeat | undefined;
}

export interface Written {
  readonly status: number;
  readonly body: string;
}

const jsonBytesMax = 64 * 1024 * 1024;
const defaultTimeoutMs = 30_000;
const defaultTransferTimeoutMs = 30 * 60_000;
const json = { accept: 'application/json' };

export class RegistryApi {
  readonly store: string;
  readonly endpoints: readonly string[];
  /** For requests whose answer takes as long as the whole registry does. */
  readonly patient: Partial<HttpTimeouts>;
  /** Requests sent so far. */
  requests = 0;
  private readonly client: HttpClient;
  private readonly repeat: Repeat;
  private readonly tokens: TokenSource | null;
  private readonly base: string;

  /** @param base `/apis/registry/v2`; paths go on from there */
  constructor(connection: RegistryConnection, base: string) {
    const { name, endpoints, tls, auth, oidc, requestTimeoutMs = defaultTimeoutMs } = connection;
    const { transferTimeoutMs = defaultTransferTimeoutMs, onToken = () => undefined } = connection;
    this.repeat = connection.repeat ?? ((_what, call) => call());
    this.store = name;
    this.base = base;
    this.client = new HttpClient({ store: name, endpoints, tls, auth, timeouts: { headersMs: requestTimeoutMs } });
    this.endpoints = this.client.endpoints;
    this.patient = { headersMs: transferTimeoutMs, idleMs: transferTimeoutMs };
    const monotonicMs = (): number => performance.now();
    this.tokens =
      oidc === undefined
        ? null
        : new TokenSource({ store: name, tls, requestTimeoutMs, monotonicMs, onToken, ...oidc });
  }

  /** @throws {KeyferryError} `store.…`; `store.answer-unexpected` for an answer of another form */
  async get<S extends z.ZodType>(path: string, schema: S, signal: StopSignal): Promise<z.infer<S>> {
    const found = await this.getUnless(path, schema, signal, () => false);
    return found as z.infer<S>;
  }

  /** As `get`, and not made again: for whoever asks how the registry is just now. */
  async getOnce<S extends z.ZodType>(path: string, schema: S, signal: StopSignal): Promise<z.infer<S>> {
    const found = await this.getUnlessOnce(path, schema, signal, () => false);
    return found as z.infer<S>;
  }

  /** Null: the registry says that it is not there. */
  async getOrNull<S extends z.ZodType>(path: string, schema: S, signal: StopSignal): Promise<z.infer<S> | null> {
    return await this.getUnless(path, schema, signal, isNotFound);
  }

  /** Null where `isAbsent` says so of a refusal. */
  async getUnless<S extends z.ZodType>(
    path: string,
    schema: S,
    signal: StopSignal,
    isAbsent: (refusal: Refusal) => boolean,
  ): Promise<z.infer<S> | null> {
    const once = () => this.getUnlessOnce(path, schema, signal, isAbsent);
    return await this.repeat(`GET ${path}`, once, signal);
  }

  private async getUnlessOnce<S extends z.ZodType>(
    path: string,
    schema: S,
    signal: StopSignal,
    isAbsent: (refusal: Refusal) => boolean,
  ): Promise<z.infer<S> | null> {
    return await this.read({ path, headers: json }, signal, async (answer) => {
      if (answer.status !== 200) {
        const refusal = await readRefusal(answer);
        if (isAbsent(refusal)) return null;
        throw refusalError(this.store, refusal);
      }
      return this.parse(await this.textOf(answer), schema, answer.doing);
    });
  }

  /** As `read`, and made again like `get`: nothing of an earlier answer may be left in what `use` makes. */
  async readAgain<T>(request: HttpRequest, signal: StopSignal, use: (answer: HttpAnswer) => Promise<T>): Promise<T> {
    return await this.repeat(`GET ${request.path}`, () => this.read(request, signal, use), signal);
  }

  /** `use` gets the answer with its body unread, and may be called again with another endpoint's. */
  async read<T>(request: HttpRequest, signal: StopSignal, use: (answer: HttpAnswer) => Promise<T>): Promise<T> {
    return await this.authenticated(request, (full) =>
      untilStopped(signal, () =>
        this.client.read(full, async (answer) => {
          if (answer.status === 401) throw new TokenRefused(refusalError(this.store, await readRefusal(answer)));
          return await use(answer);
        }),
      ),
    );
  }

  /** Sent once. @returns any answer; whether it is a success is for the caller to see */
  async send(request: HttpRequest, signal: StopSignal): Promise<Written & Pick<Refusal, 'doing'>> {
    return await this.authenticated(request, (full) =>
      untilStopped(signal, () =>
        this.client.write(full, async (answer) => {
          if (answer.status === 401) throw new TokenRefused(refusalError(this.store, await readRefusal(answer)));
          return { status: answer.status, doing: answer.doing, body: await this.textOf(answer) };
        }),
      ),
    );
  }

  close(): void {
    this.client.close();
    this.tokens?.close();
  }

  private async authenticated<T>(request: HttpRequest, run: (request: HttpRequest) => Promise<T>): Promise<T> {
    const attempt = async (): Promise<T> => {
      const token = await this.tokens?.token();
      const headers = token === undefined ? request.headers : { ...request.headers, authorization: `Bearer ${token}` };
      this.requests += 1;
      try {
        return await run({ ...request, path: `${this.base}${request.path}`, ...(headers && { headers }) });
      } catch (error) {
        if (error instanceof TokenRefused && token !== undefined) this.tokens?.forget(token);
        throw error;
      }
    };
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof TokenRefused)) throw error;
      // A body that was streamed is gone; whoever sends one asks again with what it then is.
      const isRepeatable = request.body === undefined || request.body instanceof Uint8Array;
      if (this.tokens === null || !isRepeatable) throw error.failure;
      return await attempt().catch((again: unknown) => {
        throw again instanceof TokenRefused ? again.failure : again;
      });
    }
  }

  private async textOf(answer: HttpAnswer): Promise<string> {
    const body = await answer.read(jsonBytesMax);
    if (body === null) throw unexpected(this.store, answer.doing, 'its answer is longer than any of that kind');
    return body.toString('utf8');
  }

  private parse<S extends z.ZodType>(text: string, schema: S, doing: string): z.infer<S> {
    let parsed: unknown;
    try {
      parsed = JSON.parse(text);
    } catch {
      throw unexpected(this.store, doing, 'its answer is not JSON');
    }
    const checked = schema.safeParse(parsed);
    if (checked.success) return checked.data;
    const [issue] = checked.error.issues;
    throw unexpected(this.store, doing, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'it is wrong'}`);
  }
}

/** A marker between two functions of this file; callers see what it carries. */
class TokenRefused extends Error {
  readonly failure: Error;

  constructor(failure: Error) {
    super(failure.message);
    this.failure = failure;
  }
}

function isNotFound({ status }: Refusal): boolean {
  return status === 404;
}

/** @throws the signal's reason, soon after it aborts; what was under way ends by itself */
export async function untilStopped<T>(signal: StopSignal, run: () => Promise<T>): Promise<T> {
  const reason = (): Error => (signal.reason instanceof Error ? signal.reason : new TypeError('it was stopped'));
  if (signal.aborted) throw reason();
  let stop = (): void => undefined;
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(reason());
    signal.addEventListener('abort', stop);
  });
  try {
    return await Promise.race([run(), stopped]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** One part of a path, whatever is in it. `.` and `..` would be taken out of a path on the way. */
export function pathPart(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replaceAll('.', (dot) => (/^\.{1,2}$/.test(text) ? '%2E' : dot));
}
