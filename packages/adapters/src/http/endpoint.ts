/** One configured address, checked once: an endpoint names a server and nothing else. */
import { KeyferryError } from '@keyferry/core';

export interface Endpoint {
  /** Scheme, host and port: what may be shown. */
  readonly origin: string;
  readonly hostname: string;
  readonly port: number;
  readonly secure: boolean;
}

/** @throws {KeyferryError} `usage.invalid`. The text itself is not repeated: it may hold a password. */
export function parseEndpoint(store: string, text: string): Endpoint {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw invalid(`an endpoint of store ${store} is not a URL`, 'write it as http://HOST:PORT or https://HOST:PORT');
  }
  if (url.username !== '' || url.password !== '') {
    throw invalid(`an endpoint of store ${store} holds a user or a password`, "move them to the store's auth");
  }
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    throw invalid(`an endpoint of store ${store} has a path`, 'leave scheme, host and port only');
  }
  const secure = url.protocol === 'https:';
  // node:http takes an IPv6 address without its brackets.
  const hostname = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return { origin: url.origin, hostname, port: url.port === '' ? (secure ? 443 : 80) : Number(url.port), secure };
}

function invalid(what: string, fix: string): KeyferryError {
  return new KeyferryError('usage.invalid', { what, fix });
}
