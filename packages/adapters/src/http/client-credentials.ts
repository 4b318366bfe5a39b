/**
 * Tokens by OAuth2 client credentials (RFC 6749, 4.4): asked for when one is needed, kept until shortly before its end.
 *
 *     none ──token()──► asked ──► held ──its time is nearly over, or a server refused it──► asked …
 *
 * The client authenticates by HTTP basic, which every server of that RFC must take (2.3.1). Requests that need a token at the
 * same time share one asking. An endpoint of tokens is configured as a URL with a path, unlike those of stores.
 */
import { KeyferryError } from '@keyferry/core';
import { HttpClient } from './client.ts';
import type { TlsOptions } from './options.ts';

export interface ClientCredentials {
  /** URL of the token endpoint: of Keycloak `https://HOST/realms/REALM/protocol/openid-connect/token`. */
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly scope?: string | undefined;
}

export interface TokenOptions extends ClientCredentials {
  /** The store's name in the configuration: errors carry it. */
  readonly store: string;
  readonly tls?: TlsOptions | undefined;
  readonly requestTimeoutMs: number;
  /** Milliseconds that only grow. */
  readonly monotonicMs: () => number;
  /** Learns each token before anybody else sees it. */
  readonly onToken: (token: string) => void;
}

/** A token that ends within this is not used any more: a request may take its time. */
const marginMs = 10_000;
/** For a server that does not say how long its tokens live. */
const defaultLifeMs = 60_000;
const answerBytesMax = 256 * 1024;

interface Token {
  readonly text: string;
  readonly endsAtMs: number;
}

export class TokenSource {
  private readonly options: TokenOptions;
  private readonly client: HttpClient;
  private readonly path: string;
  private held: Token | null = null;
  private asking: Promise<Token> | null = null;

  /** @throws {KeyferryError} `usage.invalid` for a URL that is none, or that holds a user. */
  constructor(options: TokenOptions) {
    const { store, tokenUrl, tls, requestTimeoutMs, clientId, clientSecret } = options;
    const url = URL.parse(tokenUrl);
    if (url === null) {
      const what = `the tokenUrl of store ${store} is not a URL`;
      throw new KeyferryError('usage.invalid', { what, fix: 'write it as https://HOST/PATH' });
    }
    this.options = options;
    this.path = `${url.pathname}${url.search}`;
    // RFC 6749, 2.3.1: both are form-encoded before they go into the header.
    const auth = { user: encodeURIComponent(clientId), password: encodeURIComponent(clientSecret) };
    const timeouts = { headersMs: requestTimeoutMs };
    const user = url.username === '' ? '' : `${url.username}@`;
    this.client = new HttpClient({ store, endpoints: [`${url.protocol}//${user}${url.host}`], tls, auth, timeouts });
  }

  /** @throws {KeyferryError} `store.auth-failed` when the client is refused; how the connection fails as anywhere */
  async token(): Promise<string> {
    const { held } = this;
    if (held !== null && this.options.monotonicMs() < held.endsAtMs) return held.text;
    this.asking ??= this.ask().finally(() => (this.asking = null));
    return (await this.asking).text;
  }

  /** For a token that a server did not take: keys may have been rotated, a session ended. */
  forget(token: string): void {
    if (this.held?.text === token) this.held = null;
  }

  close(): void {
    this.client.close();
  }

  private async ask(): Promise<Token> {
    const { scope, monotonicMs, onToken } = this.options;
    const askedAtMs = monotonicMs();
    const form = new URLSearchParams({ grant_type: 'client_credentials', ...(scope === undefined ? {} : { scope }) });
    const request = {
      method: 'POST',
      path: this.path,
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
      body: Buffer.from(form.toString()),
    } as const;
    const { status, body } = await this.client.write(request, async (answer) => ({
      status: answer.status,
      body: (await answer.read(answerBytesMax))?.toString('utf8') ?? '',
    }));
    if (status !== 200) throw this.refused(status, body);
    const granted = parse(body);
    const { access_token: text, expires_in: seconds } = granted;
    if (typeof text !== 'string' || text === '') throw this.unusable('it answered 200 without an access_token');
    onToken(text);
    const lifeMs = typeof seconds === 'number' ? seconds * 1000 : defaultLifeMs;
    // One that lives shorter than the margin is used for half of its life.
    this.held = { text, endsAtMs: askedAtMs + Math.max(lifeMs - marginMs, lifeMs / 2) };
    return this.held;
  }

  /** The error that RFC 6749, 5.2 names; nothing else of the answer is repeated. */
  private refused(status: number, body: string): KeyferryError {
    const { error } = parse(body);
    const word = typeof error === 'string' && /^[a-z_]{1,64}$/.test(error) ? `: ${error}` : '';
    const detail = `its token endpoint answered ${status}${word}`;
    const isRefusal = status === 400 || status === 401 || status === 403;
    const code = isRefusal ? 'store.auth-failed' : status >= 500 ? 'store.unreachable' : 'store.answer-unexpected';
    return new KeyferryError(code, { store: this.options.store, detail });
  }

  private unusable(what: string): KeyferryError {
    return new KeyferryError('store.answer-unexpected', {
      store: this.options.store,
      detail: `its token endpoint: ${what}`,
    });
  }
}

function parse(body: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(body);
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {};
  } catch {
    return {}; // what it was is told by what is missing in it
  }
}
