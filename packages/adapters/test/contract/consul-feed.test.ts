/**
 * Goal: the feed of Consul misses nothing that a listing does not show: deletes, and a store that went back to an older
 * state. Method: a real server, that is killed, started again and restored from a snapshot under an open feed.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  keyFromText,
  prefixRange,
  type FeedStep,
  type OpenFeed,
  type Position,
  type ReadableStore,
} from '@keyferry/core';
import { seedOf } from '@keyferry/core/testing';
import { consulVersions, request, serverOrSkip, startConsul, type ConsulServer } from '@keyferry/servers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openConsulSource } from '../../src/consul/index.ts';
import { harnessOf, openFixture, type ConsulFixture } from './consul-fixture.ts';

for (const version of consulVersions) {
  const available = await serverOrSkip(`consul-${version}`);
  describe.skipIf(!available.ok)(`the feed of Consul ${version}${available.note}`, () => {
    let server: ConsulServer;
    let fixture: ConsulFixture;
    beforeAll(async () => {
      server = await startConsul({ version });
    });
    afterAll(() => server.stop());
    beforeEach(async () => {
      const seeds = ['a', 'b', 'c'].map((name) => seedOf(harness, name));
      fixture = await openFixture(server, seeds, { feedFloorMs: 10, prefix: 'contract/' });
    });
    afterEach(() => fixture.close());

    const harness = harnessOf(() => server);
    const { key } = harness;
    const everything = prefixRange(key(''));
    const feedOf = ({ store }: { readonly store: ReadableStore }) => {
      if (store.feed === undefined) throw new Error('Consul has a feed');
      return store.feed;
    };
    const briefly = (step: FeedStep) =>
      step.kind === 'lost'
        ? step.why
        : step.changes.map((each) => `${each.kind} ${each.kind === 'delete-range' ? '' : each.key}`).toSorted();
    const readOnce = async (open: OpenFeed) => await open.read({ changesMax: 100, waitMs: 0 });
    /** The first step with anything in it. */
    const firstNews = async (open: OpenFeed): Promise<FeedStep> => {
      for (;;) {
        const step = await open.read({ changesMax: 100, waitMs: 1000 });
        if (step.kind === 'lost' || step.changes.length > 0) return step;
      }
    };

    it('tells what was deleted, by comparing, to whoever stands before it', async () => {
      const feed = feedOf(fixture);
      const start = await feed.head();
      const open = await feed.open(everything, start);
      await fixture.change([{ delete: key('b') }, { put: seedOf(harness, 'd') }]);
      expect(briefly(await firstNews(open))).toEqual(['delete contract/b', 'put contract/d']);
      await fixture.change([{ delete: key('c') }, { delete: key('d') }, { put: seedOf(harness, 'b') }]);
      expect(briefly(await firstNews(open))).toEqual(['delete contract/c', 'delete contract/d', 'put contract/b']);
      const late = await feed.open(everything, start);
      expect(briefly(await firstNews(late))).toEqual(['delete contract/c', 'delete contract/d', 'put contract/b']);
    });

    it('waits for a change, and says nothing while only others write', async () => {
      const feed = feedOf(fixture);
      const open = await feed.open(everything, await feed.head());
      const waiting = firstNews(open);
      await fixture.change([{ put: { ...seedOf(harness, 'x'), key: keyFromText('elsewhere/x') } }]);
      await fixture.change([{ put: seedOf(harness, 'new') }]);
      expect(briefly(await waiting)).toEqual(['put contract/new']);
    });

    it('takes a key that a session locks for one that went, as a scan of a source does', async () => {
      const source = openConsulSource({ name: 'test', endpoints: server.endpoints, nowMs: Date.now, feedFloorMs: 10 });
      const feed = feedOf({ store: source });
      const open = await feed.open(everything, await feed.head());
      const session = await fixture.application.lock('contract/a');
      expect(briefly(await firstNews(open))).toEqual(['delete contract/a']);
      await fixture.application.unlock(session);
      expect(briefly(await firstNews(open))).toEqual(['put contract/a']);
      await source.close();
    });

    it('knows nothing of what a process before it was told', async () => {
      const start = await feedOf(fixture).head();
      await fixture.change([{ delete: key('a') }]);
      const other = feedOf({ store: await fixture.openAnother() });
      await other.head();
      expect(briefly(await readOnce(await other.open(everything, start)))).toMatch(/is not known/);
    });

    it('is gone on with by another process that has its file, and by none that has not', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'keyferry-feed-'));
      const feedFile = join(folder, 'feeds', 'image.db');
      const options = { feedFile, feedFloorMs: 10, prefix: 'contract/' };
      const first = await fixture.openAnother(options);
      const start = await feedOf({ store: first }).head();
      await first.close();
      await fixture.change([{ delete: key('a') }, { put: seedOf(harness, 'd') }]);
      const next = feedOf({ store: await fixture.openAnother(options) });
      expect(briefly(await firstNews(await next.open(everything, start)))).toEqual([
        'delete contract/a',
        'put contract/d',
      ]);
      await next.end?.();
      const last = feedOf({ store: await fixture.openAnother(options) });
      expect(briefly(await readOnce(await last.open(everything, start)))).toMatch(/is not known/);
      rmSync(folder, { recursive: true });
    });

    it('goes on where it was when the server is killed and comes back', async () => {
      const feed = feedOf(fixture);
      const open = await feed.open(everything, await feed.head());
      await fixture.change([{ delete: key('a') }]);
      const [member] = server.members;
      await member?.kill('SIGKILL');
      await expect(readOnce(open)).rejects.toMatchObject({ retry: 'backoff' });
      await member?.restart();
      await fixture.change([{ put: seedOf(harness, 'z') }]);
      expect(briefly(await firstNews(open))).toEqual(['delete contract/a', 'put contract/z']);
    });

    describe('when the store is put back to an older state', () => {
      const endpoint = () => server.endpoints[0] ?? '';
      const restored = async (between: () => Promise<Position>): Promise<Position> => {
        const saved = await fetch(`${endpoint()}/v1/snapshot`).then((answer) => answer.arrayBuffer());
        const position = await between();
        const answer = await fetch(`${endpoint()}/v1/snapshot`, { method: 'PUT', body: saved });
        expect(answer.status).toBe(200);
        return position;
      };
      const seen = async () => {
        await fixture.change([{ put: seedOf(harness, 'a', 'newer') }]);
        const feed = feedOf(fixture);
        const step = await firstNews(await feed.open(everything, start));
        return step.kind === 'changes' ? step.position : start;
      };
      let start: Position;

      it('has lost the position that is now ahead of it', async () => {
        start = await feedOf(fixture).head();
        const position = await restored(seen);
        expect(briefly(await readOnce(await feedOf(fixture).open(everything, position)))).toMatch(/went back/);
      });

      it('has lost it as well once its index is beyond it again', async () => {
        start = await feedOf(fixture).head();
        const position = await restored(seen);
        await fixture.change([{ put: seedOf(harness, 'b', 'after') }]);
        const feed = feedOf(fixture);
        await expect.poll(async () => feed.hasReached(await feed.head(), position), { timeout: 60_000 }).toBe(true);
        expect(briefly(await firstNews(await feed.open(everything, position)))).toMatch(/went back/);
        const anew = await feed.open(everything, await feed.head());
        await request(`${endpoint()}/v1/kv/contract/c`, { method: 'DELETE' });
        expect(briefly(await firstNews(anew))).toEqual(['delete contract/c']);
      });
    });
  });
}
