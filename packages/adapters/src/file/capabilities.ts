/** What a file source can do: the spool puts any order into byte order and keeps what was read. */
import type { StoreCapabilities } from '@keyferry/core';
import { etcdV2Capabilities } from '../etcd-v2/capabilities.ts';
import type { FileFormat } from './source.ts';

const fileCapabilities = { orderedScan: true, pinnedView: true, expiry: true, positionIsContent: true } as const;

/** A saved answer of etcd v2 lacks what the answer lacked. */
export const capabilitiesByFormat: Readonly<Record<FileFormat, StoreCapabilities>> = {
  ndjson: { ...fileCapabilities, hidesKeys: null, lossyText: false },
  'etcd-v2-json': {
    ...fileCapabilities,
    hidesKeys: etcdV2Capabilities.hidesKeys,
    lossyText: etcdV2Capabilities.lossyText,
  },
};
