/** The client that an application embeds for an online migration: grouped re-exports, nothing else. */
export {
  openClient,
  type ClientRecord,
  type ClientStatus,
  type ClientValue,
  type ListedRecord,
  type OnlineClient,
  type PutOptions,
  type Swap,
} from './client.ts';
export { followPrimary, type Follower, type FollowerOptions, type FollowerStatus } from './follower.ts';
export type { ClientOptions } from './options.ts';
export type { ClientChange, ClientWatch } from './watch.ts';
export type { DirectoryEntry } from './trees.ts';
export { directory, inOrder, type Directory, type InOrder } from '@keyferry/core';
