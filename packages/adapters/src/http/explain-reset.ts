/**
 * Finds out whether a connection that was just closed on us was a matter of TLS.
 *
 *     https, handshake in 1.2 refused by an alert ──► that alert          https, no handshake, but plain HTTP ──► scheme
 *     https, handshake done                       ──► as it was           http, but a handshake               ──► scheme
 *
 * In TLS 1.3 the client is done before the server has looked at its certificate: it sends the request, the server
 * answers with an alert and closes, and whether the alert or the reset is seen first is a race (RFC 8446, 4.4.2.4 and
 * Appendix E). In TLS 1.2 the verdict is part of the handshake. etcd, for its part, drops a connection of the wrong
 * scheme without a word (its listener matches protocols by their first bytes). `store.unreachable` is retried,
 * `store.tls-failed` is not: taking one for the other costs minutes, or a whole run.
 */
import { request } from 'node:http';
import { connect, type ConnectionOptions } from 'node:tls';
import type { Endpoint } from './endpoint.ts';
import { isTlsFailure } from './errors.ts';
import type { TlsOptions } from './options.ts';

const waitMs = 3_000;

/** What the connection failed of, as an error: the one given when TLS has nothing to do with it. Never rejects. */
export async function explainReset(target: Endpoint, tls: TlsOptions | undefined, error: unknown): Promise<unknown> {
  const outcome = await tryHandshake(target, tls);
  if (!target.secure) return outcome === 'closed' ? error : wrongScheme('it speaks TLS; write the endpoint as https');
  if (outcome === 'done') return error;
  if (outcome !== 'closed') return outcome;
  return (await speaksPlainHttp(target)) ? wrongScheme('it does not speak TLS; write the endpoint as http') : error;
}

/** The alert that refused us, if there was one. */
function tryHandshake(target: Endpoint, tls: TlsOptions | undefined): Promise<'done' | 'closed' | Error> {
  const options: ConnectionOptions = {
    host: target.hostname,
    port: target.port,
    maxVersion: 'TLSv1.2',
    rejectUnauthorized: false, // nothing is sent; whether to trust the server was decided before
    ...(tls?.cert !== undefined && { cert: Buffer.from(tls.cert) }),
    ...(tls?.key !== undefined && { key: Buffer.from(tls.key) }),
    ...(tls?.serverName !== undefined && { servername: tls.serverName }),
  };
  return new Promise((resolve) => {
    const socket = connect(options);
    const finish = (outcome: 'done' | 'closed' | Error): void => {
      socket.destroy();
      resolve(outcome);
    };
    socket.setTimeout(waitMs, () => finish('closed'));
    socket.once('secureConnect', () => finish('done'));
    socket.once('close', () => finish('closed'));
    // A plain server that answers at all answers with something that is no TLS record (EPROTO, wrong version number).
    socket.on('error', (alert) => finish(isTlsFailure(alert) && /alert/.test(alert.message) ? alert : 'closed'));
  });
}

function speaksPlainHttp({ hostname, port }: Endpoint): Promise<boolean> {
  return new Promise((resolve) => {
    const outgoing = request({ hostname, port, method: 'HEAD', path: '/', agent: false, timeout: waitMs });
    const finish = (answered: boolean): void => {
      outgoing.destroy();
      resolve(answered);
    };
    outgoing.once('response', () => finish(true));
    outgoing.once('timeout', () => finish(false));
    outgoing.on('error', () => finish(false));
    outgoing.end();
  });
}

/** EPROTO is what Node itself says when it meets the wrong protocol. */
function wrongScheme(message: string): Error {
  return Object.assign(new TypeError(message), { code: 'EPROTO' });
}
