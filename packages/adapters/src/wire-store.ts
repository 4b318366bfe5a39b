/** What it takes to open a store of a configuration, and what stores over a network are opened with. */
import type { PlannedSettings, StoreConfig } from './config/resolved-config.ts';
import { readAuth, readTls, type SecretContext } from './config/secrets.ts';

export interface StoreContext extends SecretContext {
  readonly nowMs: () => number;
  readonly settings: PlannedSettings;
}

export async function networkOptions(
  store: Extract<StoreConfig, { readonly kind: 'etcd-v2' | 'etcd-v3' }>,
  context: SecretContext,
) {
  const { endpoints, tls, auth, requestTimeoutMs } = store;
  return {
    endpoints,
    ...(tls === null ? {} : { tls: await readTls(tls, context) }),
    ...(auth === null ? {} : { auth: await readAuth(auth, context) }),
    ...(requestTimeoutMs === null ? {} : { requestTimeoutMs }),
  };
}
