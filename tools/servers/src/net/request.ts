/**
 * One HTTP request to a test server, plain or with its private CA; node:http rather than fetch, because fetch has no
 * way to present a client certificate.
 */
import { readFileSync } from 'node:fs';
import { Agent as HttpAgent, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';

/** Files a client needs for a server with TLS; certificate and key only where the server asks for them. */
export interface ClientTlsFiles {
  readonly caFile: string;
  readonly clientCertFile?: string;
  readonly clientKeyFile?: string;
}

export interface RequestOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** HTTP Basic credentials. */
  readonly credentials?: Credentials;
  /** From {@link clientAgent}; without one each request opens its own connection. */
  readonly agent?: HttpAgent;
  /** Default 10 000. */
  readonly timeoutMs?: number;
}

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Rejects with the socket's error when there is no answer; any HTTP status is an answer. */
export function request(url: string, options: RequestOptions = {}): Promise<Reply> {
  const { method = 'GET', body, agent, credentials, timeoutMs = 10_000 } = options;
  const headers: Record<string, string | number> = { ...options.headers };
  if (body !== undefined) headers['content-length'] = Buffer.byteLength(body);
  const auth = credentials === undefined ? {} : { auth: `${credentials.user}:${credentials.password}` };
  const send = url.startsWith('https:') ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const outgoing = send(url, { method, headers, ...auth, ...(agent && { agent }) }, (incoming) => {
      const parts: Buffer[] = [];
      incoming.on('data', (part: Buffer) => parts.push(part));
      incoming.on('error', reject);
      incoming.on('end', () => {
        const text = Buffer.concat(parts).toString('utf8');
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: text });
      });
    });
    outgoing.setTimeout(timeoutMs, () => outgoing.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** Keeps connections open, at most `connectionsMax` of them. The caller destroys it. */
export function clientAgent(tls: ClientTlsFiles | undefined, connectionsMax: number): HttpAgent {
  const pool = { keepAlive: true, maxSockets: connectionsMax };
  if (tls === undefined) return new HttpAgent(pool);
  const { clientCertFile, clientKeyFile } = tls;
  return new HttpsAgent({
    ...pool,
    ca: readFileSync(tls.caFile),
    ...(clientCertFile !== undefined && { cert: readFileSync(clientCertFile) }),
    ...(clientKeyFile !== undefined && { key: readFileSync(clientKeyFile) }),
  });
}
