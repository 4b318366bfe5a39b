/** Failures of stores; the part of codes.ts that adapters come to. */
import type { StoreDetails } from './details.ts';
import { entry } from './entry.ts';

export const storeCodes = {
  'store.unreachable': entry<StoreDetails>({
    retry: 'backoff',
    summary: 'store {store} cannot be reached: {detail}',
    remedy: 'check endpoints, network and TLS of the store, then run the command again',
  }),
  'store.timeout': entry<StoreDetails>({
    retry: 'backoff',
    summary: 'store {store} did not answer in time: {detail}',
    remedy: "check the store's load; run the command again to go on from the last checkpoint",
  }),
  'store.throttled': entry<StoreDetails>({
    retry: 'backoff',
    summary: 'store {store} takes no more requests for now: {detail}',
    remedy: 'run the command again to go on; if it repeats, write more slowly (limits: rate) or raise what it may take',
  }),
  'store.table-missing': entry<StoreDetails>({
    retry: 'never',
    summary: 'store {store} has no such table: {detail}',
    remedy: 'make the table, or correct table and region of the store in the configuration',
  }),
  'store.stream-unusable': entry<StoreDetails & { command: string }>({
    retry: 'never',
    summary: 'store {store} cannot be followed: {detail}; nothing was changed about it',
    remedy: 'turn its stream on, and then run the command again:   {command}',
  }),
  'store.no-leader': entry<StoreDetails>({
    retry: 'backoff',
    summary: 'store {store} has no leader or lost its quorum: {detail}',
    remedy: 'bring its members back, then run the command again',
  }),
  'store.auth-failed': entry<StoreDetails>({
    retry: 'never',
    summary: 'store {store} refused the user, password or token: {detail}',
    remedy: "correct the store's auth, or its token, in the configuration",
  }),
  'store.permission-denied': entry<StoreDetails>({
    retry: 'never',
    summary: 'store {store} does not permit this: {detail}',
    remedy: "grant the user read on the source, read and write on the target and on keyferry's reserved prefix",
  }),
  'store.tls-failed': entry<StoreDetails>({
    retry: 'never',
    summary: 'no trusted TLS connection to store {store}: {detail}',
    remedy: "correct the store's tls (ca, cert, key, serverName) in the configuration",
  }),
  'store.unsupported': entry<StoreDetails>({
    retry: 'never',
    summary: 'store {store} does not speak what is needed: {detail}',
    remedy: "compare the store's version and flags with:   keyferry adapters list",
  }),
  'store.out-of-space': entry<StoreDetails>({
    retry: 'never',
    summary: 'store {store} is out of space: {detail}',
    remedy:
      'of a file or SQLite: make room on the disk of its path; how much there is says   df -h DIRECTORY\n' +
      'of etcd: compact and defragment it or raise its quota, and clear the alarm\n' +
      'then run the command again: it goes on from what is written',
  }),
  'store.request-refused': entry<StoreDetails>({
    retry: 'never',
    summary: 'store {store} refused a request: {detail}',
    remedy: "see the store's log; nothing of the refused request was written",
  }),
  'store.answer-unexpected': entry<StoreDetails>({
    retry: 'never',
    summary: 'store {store} gave an answer that cannot be right: {detail}',
    remedy: "check that the endpoint is the store itself and not a proxy's error page",
  }),
  'store.position-compacted': entry<{ store: string; position: string }>({
    retry: 'restart',
    summary: 'store {store} no longer has its state at position {position}',
    remedy: 'run the command again; keep compaction off while it runs if this repeats',
  }),
} as const;
