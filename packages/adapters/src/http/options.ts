/** What a network adapter over HTTP is given: where to connect, whom to trust, who it is and how long it waits. */

/** Contents, not paths: whoever reads the configuration resolves references, so that a secret is read in one place. */
export interface TlsOptions {
  /** PEM of the authorities to trust; absent: those of the platform. */
  readonly ca?: string | Uint8Array | undefined;
  /** PEM of the client's certificate, for servers that ask for one. */
  readonly cert?: string | Uint8Array | undefined;
  readonly key?: string | Uint8Array | undefined;
  /** Name that the server's certificate must carry, when it is not the host of the endpoint. */
  readonly serverName?: string | undefined;
}

export interface BasicAuth {
  readonly user: string;
  readonly password: string;
}

export interface HttpTimeouts {
  /** Until the connection (with TLS: the handshake) is made. */
  readonly connectMs: number;
  /** From the sent request to the head of the answer. */
  readonly headersMs: number;
  /** Between two pieces of the body; the reader's own time does not count. */
  readonly idleMs: number;
}

export const defaultTimeouts: HttpTimeouts = { connectMs: 5_000, headersMs: 15_000, idleMs: 30_000 };

export interface HttpClientOptions {
  /** The store's name in the configuration, for errors. */
  readonly store: string;
  /** `http://host:port` or `https://host:port`, one or more. */
  readonly endpoints: readonly string[];
  readonly tls?: TlsOptions | undefined;
  readonly auth?: BasicAuth | undefined;
  readonly timeouts?: Partial<HttpTimeouts>;
}
