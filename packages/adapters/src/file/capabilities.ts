/**
 * What a file can do. As a source: the spool puts any order into byte order and keeps what was read. As a target: what
 * is put waits in an SQLite file of its own, with that one's guards and fences, until it is published.
 */
import type { StoreCapabilities, TargetCapabilities } from '@keyferry/core';
import { etcdV2Capabilities } from '../etcd-v2/capabilities.ts';
import { unfitForTree } from '../etcd-v2/key-form.ts';
import { stagedCapabilities } from '../written-once/capabilities.ts';
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

/** Half of the longest JavaScript string, which a line has to become; in base64 and its quotes. */
const recordBytesMax = 190_000_000;

export const targetCapabilitiesByFormat: Readonly<Record<FileFormat, TargetCapabilities>> = {
  ndjson: { ...stagedCapabilities, ...capabilitiesByFormat.ndjson, recordBytesMax },
  'etcd-v2-json': {
    ...stagedCapabilities,
    ...capabilitiesByFormat['etcd-v2-json'],
    recordBytesMax,
    emptyKeys: false,
    parentKeys: false,
    unfit: unfitForTree,
  },
};
