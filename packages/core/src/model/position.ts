/**
 * Position: a point in a store's history as the store names it (etcd v2: index, etcd v3: revision, a file: its
 * digest). Opaque: equal positions mean that nothing moved; different ones mean only that something may have.
 */
import type { Brand } from './brand.ts';

export type Position = Brand<string, 'Position'>;
