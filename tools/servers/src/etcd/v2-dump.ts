/** The keys of a v2 dump (what a recursive GET of /v2/keys answers), as entries to be loaded into a v2 store. */
import { readFile } from 'node:fs/promises';
import { ServerError } from '../server-error.ts';
import type { V2Entry } from './load-v2-keys.ts';

interface DumpNode {
  readonly key?: string;
  readonly value?: string;
  readonly dir?: boolean;
  readonly ttl?: number;
  readonly nodes?: readonly DumpNode[];
}

/** Empty directories are left out: a v2 PUT of a key makes its parents. */
export async function readV2Dump(file: string): Promise<readonly V2Entry[]> {
  const answer = JSON.parse(await readFile(file, 'utf8')) as { readonly node?: DumpNode };
  if (answer.node === undefined) {
    throw new ServerError(
      'server.bad-argument',
      `${file} is no v2 dump: it has no "node".`,
      'Make one with a recursive GET of /v2/keys/.',
    );
  }
  const entries: V2Entry[] = [];
  const walk = (node: DumpNode): void => {
    if (node.dir !== true && node.key !== undefined) {
      const ttl = node.ttl === undefined ? {} : { ttlSeconds: node.ttl };
      entries.push({ key: node.key, value: node.value ?? '', ...ttl });
    }
    for (const child of node.nodes ?? []) walk(child);
  };
  walk(answer.node);
  return entries;
}
