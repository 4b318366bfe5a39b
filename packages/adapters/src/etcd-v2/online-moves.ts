/**
 * What happens to the records of an online source, for watchers: the index watch of the change feed, with the index of each
 * event, so that a watcher can stop exactly where the source was frozen. What is watched, and why the root, is in feed.ts.
 */
import {
  isKeyferryError,
  keyForDisplay,
  type FeedReadOptions,
  type Key,
  type KeyRange,
  type MoveStep,
  type OpenMoves,
  type Position,
  type SourceMove,
  type SourceMoves,
} from '@keyferry/core';
import type { HttpClient } from '../http/client.ts';
import { encodePath } from '../http/key-path.ts';
import { directoryOf, type Directory } from './directory.ts';
import { unexpected } from './errors.ts';
import { changeOf } from './feed.ts';
import { EtcdV2Watcher } from './watch/watcher.ts';

const root = '' as Directory;

export class EtcdV2Moves implements SourceMoves {
  readonly kind = 'log';
  private readonly store: string;
  private readonly client: HttpClient;

  constructor(store: string, client: HttpClient) {
    this.store = store;
    this.client = client;
  }

  hasReached(position: Position, mark: Position): boolean {
    return Number(position) >= Number(mark);
  }

  async open(range: KeyRange, after: Position | null): Promise<OpenMoves<SourceMove>> {
    const { store, client } = this;
    const directory = directoryOf(range) ?? root;
    const head = (): Promise<number> => this.headAt(directory);
    const from = after === null ? await head() : Number(after);
    return new OpenEtcdV2Moves(
      (watched, index) => new EtcdV2Watcher({ store, client, directory: watched, after: index, head }),
      range,
      from,
    );
  }

  /** Read through raft. Of a directory that is not there the answer says it too. */
  private headAt(directory: Directory): Promise<number> {
    const path = `/v2/keys${encodePath(directory)}/?quorum=true`;
    return this.client.read({ path }, async (answer) => {
      const index = Number(answer.header('x-etcd-index') ?? Number.NaN);
      await answer.read(answerBytesMax);
      if (!Number.isSafeInteger(index)) throw unexpected(this.store, answer, 'it does not say X-Etcd-Index');
      return index;
    });
  }
}

const answerBytesMax = 64 * 1024 * 1024;

class OpenEtcdV2Moves implements OpenMoves<SourceMove> {
  private readonly watch: (directory: Directory, after: number) => EtcdV2Watcher;
  private readonly range: KeyRange;
  private readonly directory: Directory;
  private watcher: EtcdV2Watcher;
  private isAtRoot: boolean;
  private after: number;

  constructor(watch: OpenEtcdV2Moves['watch'], range: KeyRange, after: number) {
    this.watch = watch;
    this.range = range;
    this.after = after;
    this.directory = directoryOf(range) ?? root;
    // No watch above a hidden directory tells of it.
    this.isAtRoot = this.directory !== root && !this.directory.includes('/_');
    this.watcher = watch(this.isAtRoot ? root : this.directory, after);
  }

  async read(options: FeedReadOptions): Promise<MoveStep<SourceMove>> {
    try {
      return await this.step(options);
    } catch (error) {
      if (!this.isAtRoot || !isKeyferryError(error, 'store.auth-failed')) throw error;
      this.watcher.close();
      this.isAtRoot = false;
      this.watcher = this.watch(this.directory, this.after);
      return await this.step(options);
    }
  }

  async close(): Promise<void> {
    this.watcher.close();
  }

  private async step({ changesMax, ...waiting }: FeedReadOptions): Promise<MoveStep<SourceMove>> {
    const step = await this.watcher.read({ eventsMax: changesMax, ...waiting });
    if (step.kind === 'lost') return step;
    this.after = step.through;
    const moves: SourceMove[] = [];
    for (const event of step.events) {
      const change = changeOf(event, this.range, this.directory);
      if (change === null) continue;
      if (change.kind === 'delete-range') return { kind: 'lost', why: wholeDirectory(event.key) };
      const at = String(event.index) as Position;
      if (change.kind === 'delete') moves.push({ key: change.key, change: { kind: 'delete' }, at });
      else {
        const { key, value, version } = change;
        moves.push({ key, change: { kind: 'put', record: { key, value, version } }, at });
      }
    }
    return { kind: 'moves', moves, position: String(step.through) as Position };
  }
}

const wholeDirectory = (key: Key): string =>
  `directory ${keyForDisplay(key)} went as a whole, and etcd v2 does not say with which keys`;
