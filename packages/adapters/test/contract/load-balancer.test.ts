/**
 * Goal: a real nginx and a real HAProxy go through the phases of a migration exactly as core's port says: traffic goes where
 * the phase leads, a freeze refuses what could write and nothing else, a drain is not claimed before it is true, a
 * leak is seen, clients lose nothing at a switch, and every byte can be put back.
 * Method: both programs, with configurations as they stand in production, before two servers that say who answered.
 */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  lstatSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type BalancerOrigin, trafficPhases, type TrafficPhase } from '@keyferry/core';
import { clientRequests, serverOrSkip, startRegistryLoad, waitUntil } from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openLoadBalancer } from '../../src/load-balancer/index.ts';
import { onlyReads } from '../../src/load-balancer/read-requests.ts';
import { adopt, ask, begin, type BalancerKind, lead, type Stage, startStage, stay } from './load-balancer-fixture.ts';

const available = { nginx: await serverOrSkip('nginx-1.22'), haproxy: await serverOrSkip('haproxy-2.6') };
const kinds: readonly BalancerKind[] = ['nginx', 'haproxy'];
const info = '/apis/registry/v2/system/info';
const write = '/apis/registry/v2/groups/g/artifacts';
const digestOf = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');

/** Of 2.6 and 3.3: what only reads, what writes, and what is made to look like the other. */
const requests: readonly (readonly [string, string])[] = [
  ['GET', '/apis/registry/v2/groups/g/artifacts/a'],
  ['HEAD', info],
  ['OPTIONS', info],
  ['POST', '/apis/registry/v2/groups/g/artifacts/a/meta'],
  ['POST', '/apis/registry/v2/groups/g/artifacts/a%2Fb/meta?canonical=true'],
  ['POST', '/apis/registry/v2/search/artifacts?limit=1'],
  ['PUT', '/apis/registry/v2/groups/g/artifacts/a/test'],
  ['POST', '/apis/registry/v1/artifacts/a/meta'],
  ['POST', '/apis/ccompat/v6/subjects/s'],
  ['POST', '/apis/ccompat/v7/subjects/s?normalize=true'],
  ['POST', '/apis/ccompat/v7/compatibility/subjects/s/versions/latest'],
  ['POST', '/apis/ccompat/v8/compatibility/subjects/s/versions'],
  ['POST', '/apis/registry/v3/search/versions'],
  ['POST', '/apis/registry/v3/content/references'],
  ['POST', '/apis/registry/v3/groups/g/artifacts?dryRun=true'],
  ['POST', '/apis/registry/v3/groups/g/artifacts?canonical=true&dryRun=true&ifExists=FAIL'],
  ['PUT', '/apis/registry/v3/groups/g/artifacts/a/versions/1/state?dryRun=true'],
  ['POST', '/apis/registry/v2/groups/g/artifacts?ifExists=RETURN'],
  ['POST', '/apis/registry/v2/groups/g/artifacts?dryRun=true'],
  ['PUT', '/apis/registry/v2/groups/g/artifacts/a/meta'],
  ['POST', '/apis/registry/v2/groups/g/artifacts/a/versions'],
  ['DELETE', '/apis/registry/v2/groups/g/artifacts/a'],
  ['PATCH', '/apis/registry/v2/groups/g'],
  ['POST', '/apis/registry/v2/admin/import'],
  ['PUT', '/apis/registry/v2/admin/config/properties/p'],
  ['POST', '/apis/ccompat/v7/subjects/s/versions'],
  ['PUT', '/apis/ccompat/v7/config/s'],
  ['PUT', '/apis/ccompat/v7/mode'],
  ['DELETE', '/apis/ccompat/v7/subjects/s'],
  ['POST', '/apis/registry/v3/groups/g/artifacts?dryRun=false'],
  ['POST', '/apis/registry/v3/groups/g/artifacts?dryRun=false&dryRun=true'],
  ['POST', '/apis/registry/v3/groups/g/artifacts?dry%52un=false&dryRun=true'],
  ['POST', '/apis/registry/v3/groups/g/artifacts?xdryRun=true'],
  ['POST', '/apis/registry/v3/groups?dryRun=true'],
  // An artifact whose name looks like another endpoint once it is decoded.
  ['POST', '/apis/registry/v2/groups/g/artifacts/a%2Fmeta'],
  ['POST', '/apis/registry/v2/groups/g/artifacts/a/b/../meta'],
  ['POST', '/apis/registry/v2/groups/g/artifacts/%2e%2e/meta'],
  ['POST', '/apis/registry/v2/groups/g/artifacts/a;x=1/meta'],
  ['PUT', '/apis/registry/v2/groups/g/artifacts/a/meta?x=/test'],
  ['PUT', '/apis/registry/v2/groups/g/artifacts/a/rules/VALIDITY?/apis/registry/v2/search/artifacts'],
];

for (const kind of kinds) {
  describe.skipIf(!available[kind].ok)(`${kind}${available[kind].note}`, () => {
    let stage: Stage;
    let origin: BalancerOrigin;
    beforeAll(async () => {
      stage = await startStage(kind);
    });
    afterAll(async () => {
      await stage.close();
    });

    it('says before that it can, changes nothing by that, and is taken over in phase v2-rw', async () => {
      const before = readFileSync(stage.file, 'utf8');
      expect(await stage.balancer.rehearse()).toEqual([]);
      expect(readFileSync(stage.file, 'utf8')).toBe(before);
      expect(await stage.balancer.read()).toMatchObject({ inFile: null, atRuntime: null });
      origin = await stage.balancer.readOrigin();
      const receipt = await stage.balancer.adopt(origin, stay);
      expect(receipt).toMatchObject({ balancer: 'lb-1', phase: 'v2-rw', changed: true, by: 'reload' });
      expect(await stage.balancer.adopt(origin, stay)).toMatchObject({ changed: false });
      expect(await stage.balancer.read()).toEqual({ inFile: 'v2-rw', atRuntime: 'v2-rw', drift: null });
      // Each line of before is still there, but for those that said where the registry is.
      const after = readFileSync(stage.file, 'utf8').split('\n');
      const lost = before.split('\n').filter((line) => !after.includes(line));
      const where = kind === 'nginx' ? /proxy_pass http:\/\/apicurio/ : /use_backend apicurio/;
      expect(lost).toHaveLength(1);
      expect(lost[0]).toMatch(where);
    });

    it.each(trafficPhases)('in phase %s leads every way in where it should, and says so', async (phase) => {
      const { two, three, server, balancer } = stage;
      await lead(stage, phase);
      const side = phase.startsWith('v2') ? two : three;
      for (const url of server.endpoints) {
        expect(await ask(url, 'GET', info)).toMatchObject({
          status: 200,
          body: JSON.stringify({ version: side.name }),
        });
        const written = await ask(url, 'POST', write, '{}');
        expect(written.headers['keyferry-phase']).toBe(phase);
        expect(written.status).toBe(phase.endsWith('-rw') ? 200 : 405);
        expect((await ask(url, 'GET', '/elsewhere')).body).toBe('another service');
      }
      expect(await balancer.leakTest(phase, stay)).toMatchObject({ probes: 16, leaks: 0, detail: null });
      expect(await balancer.read()).toEqual({ inFile: phase, atRuntime: phase, drift: null });
      expect(await balancer.shift(phase, stay)).toMatchObject({ changed: false });
    });

    it('refuses in the words of each API, with what a client may do and when to come again', async () => {
      await lead(stage, 'v2-ro');
      const url = stage.server.endpoints[0] ?? '';
      const refused = await ask(url, 'POST', write, '{}');
      expect(refused.headers).toMatchObject({
        allow: 'GET, HEAD, OPTIONS',
        'retry-after': '60',
        'content-type': 'application/json',
        'keyferry-refused': 'write',
      });
      expect(JSON.parse(refused.body)).toMatchObject({ error_code: 405, name: 'RegistryFrozen' });
      const three = await ask(url, 'POST', '/apis/registry/v3/groups', '{}');
      expect(JSON.parse(three.body)).toMatchObject({
        status: 405,
        title: expect.stringContaining('migrated') as string,
      });
      if (kind === 'nginx') expect(refused.headers['x-site']).toBe('registry; {v2}');
    });

    it.each(['v2-ro', 'v3-ro'] as const)(
      'in phase %s lets exactly those requests through that only read',
      async (phase) => {
        await lead(stage, phase);
        const side = phase === 'v2-ro' ? stage.two : stage.three;
        const url = stage.server.endpoints[0] ?? '';
        for (const [method, target] of requests) {
          const reached = side.seen.length;
          const { status } = await ask(url, method, target, method.startsWith('P') ? '{}' : undefined);
          const through = side.seen.slice(reached).includes(`${method} ${target}`);
          expect({ method, target, through, status }).toEqual({
            method,
            target,
            through: onlyReads(method, target),
            status: onlyReads(method, target) ? 200 : 405,
          });
        }
      },
    );

    it('claims no drain while a write of before the freeze is under way, and then does', async () => {
      await lead(stage, 'v2-rw');
      const slow = ask(stage.server.endpoints[0] ?? '', 'POST', `${write}/slow`, '{}');
      expect(await waitUntil(() => stage.two.waiting() === 1, 30_000)).toBe(true);
      await stage.balancer.shift('v2-ro', stay);
      expect((await ask(stage.server.endpoints[0] ?? '', 'POST', write, '{}')).status).toBe(405);
      const early = await stage.balancer.awaitDrained(1500, stay);
      expect(early).toMatchObject({ drained: false });
      expect(early.left).toMatch(kind === 'nginx' ? /workers of before/ : /under way at apicurio/);
      stage.two.release();
      expect((await slow).status).toBe(200);
      expect(await stage.balancer.awaitDrained(60_000, stay)).toMatchObject({ drained: true, left: null });
    });

    it('claims no drain while a body is still coming whose head was let in before the freeze', async () => {
      await lead(stage, 'v2-rw');
      const target = `${write}?begun-before-the-freeze`;
      const begun = begin(stage.server.endpoints[0] ?? '', 'POST', target, '{  }');
      await begun.admitted;
      await stage.balancer.shift('v2-ro', stay);
      expect(await stage.balancer.awaitDrained(1500, stay)).toMatchObject({ drained: false });
      expect((await begun.finish()).status).toBe(200);
      expect(await stage.balancer.awaitDrained(60_000, stay)).toMatchObject({ drained: true });
      expect(stage.two.seen).toContain(`POST ${target}`);
    });

    it('loses no request of a client at any switch, and refuses writes only while they are frozen', async () => {
      await lead(stage, 'v2-rw');
      const seed = { group: 'default', artifact: 'orders', globalId: 1, contentId: 1, schema: '{}' };
      const load = startRegistryLoad({ url: stage.server.endpoints[0] ?? '', requests: clientRequests(seed) });
      const more = async (): Promise<void> => {
        const soFar = load.figures().requests;
        expect(await waitUntil(() => load.figures().requests > soFar + 150, 60_000)).toBe(true);
      };
      await more();
      expect(load.figures().writesRefused).toBe(0);
      // No reload is in these: not a connection may be lost.
      for (const phase of ['v2-ro', 'v3-ro', 'v3-rw', 'v3-ro', 'v2-ro', 'v2-rw'] as const) {
        await stage.balancer.shift(phase, stay);
        await more();
      }
      const figures = await load.stop();
      expect(Object.fromEntries(figures.failures)).toEqual({});
      expect(figures).toMatchObject({ lost: 0, readsFailed: 0, writesFailed: 0 });
      expect(figures.writesRefused).toBeGreaterThan(0);
    });

    it('notices what somebody else changed, and writes nothing over it', async () => {
      await lead(stage, 'v2-rw');
      const ours = readFileSync(stage.file, 'utf8');
      writeFileSync(stage.file, `${ours}# by hand\n`);
      expect(await stage.balancer.read()).toMatchObject({
        inFile: null,
        drift: expect.stringContaining(stage.file) as string,
      });
      await expect(stage.balancer.shift('v2-ro', stay)).rejects.toMatchObject({ code: 'balancer.changed' });
      const refused: unknown = await stage.balancer.restore(origin, stay).catch((error: unknown) => error);
      expect(refused).toMatchObject({ code: 'balancer.changed' });
      expect(readFileSync(stage.file, 'utf8')).toBe(`${ours}# by hand\n`);
      // What it is to be is named, to be copied over it.
      const copy = / which is ([^\s,]+)/.exec(String(refused))?.[1] ?? '';
      copyFileSync(copy, stage.file);
      expect(readFileSync(stage.file, 'utf8')).toBe(ours);
      expect(await stage.balancer.read()).toMatchObject({ inFile: 'v2-rw', drift: null });
    });
  });

  describe.skipIf(!available[kind].ok)(`${kind}, its own${available[kind].note}`, () => {
    it('does not take it for led to 3.x where nobody is there', async () => {
      const stage = await startStage(kind);
      try {
        await adopt(stage);
        await lead(stage, 'v3-rw');
        expect(await stage.balancer.leakTest('v3-rw', stay)).toMatchObject({ leaks: 0 });
        await stage.three.close();
        const { leaks, probes, detail } = await stage.balancer.leakTest('v3-rw', stay);
        expect({ leaks, detail }).toEqual({
          leaks: probes,
          detail: expect.stringMatching(/: 50[234] in phase v3-rw$/) as string,
        });
      } finally {
        await stage.close();
      }
    });

    it('puts every byte back, keeps mode, owner and a link, and leaves nothing of its own', async () => {
      const stage = await startStage(kind);
      try {
        // As sites-enabled has it.
        const file = `${stage.file}.real`;
        renameSync(stage.file, file);
        symlinkSync(file, stage.file);
        chmodSync(file, 0o640);
        if (process.getuid?.() === 0) chownSync(file, 65_534, 65_534);
        const { uid, gid } = statSync(file);
        const before = readFileSync(stage.file);
        const origin = await adopt(stage);
        await lead(stage, 'v3-rw');
        // The state has digests alone; the bytes stay on the machine, for whom the file is.
        expect(Object.keys(origin.files[0] ?? {})).toEqual(['path', 'sha256']);
        const copy = join(stage.config.directory, 'before', origin.files[0]?.sha256 ?? '');
        expect(readFileSync(copy).equals(before)).toBe(true);
        expect(statSync(copy)).toMatchObject({ uid, gid });
        expect(statSync(copy).mode & 0o777).toBe(0o640);
        expect(readFileSync(stage.file).equals(before)).toBe(false);
        expect(await stage.balancer.restore(origin, stay)).toMatchObject({ changed: true });
        expect(readFileSync(stage.file).equals(before)).toBe(true);
        expect(lstatSync(stage.file).isSymbolicLink()).toBe(true);
        expect(statSync(file)).toMatchObject({ uid, gid });
        expect(statSync(file).mode & 0o777).toBe(0o640);
        expect(await stage.balancer.readOrigin()).toEqual(origin);
        expect(() => statSync(stage.config.directory)).toThrow(/ENOENT/);
        const answer = await ask(stage.server.endpoints[0] ?? '', 'POST', write, '{}');
        expect(answer).toMatchObject({ status: 200, body: JSON.stringify({ version: '2.6.13' }) });
        expect(answer.headers['keyferry-phase']).toBeUndefined();
        expect(await stage.balancer.restore(origin, stay)).toMatchObject({ changed: false });
      } finally {
        await stage.close();
      }
    });

    it('leaves a configuration that fails its check as it was, serving, and says what is wrong', async () => {
      const stage = await startStage(kind, () => ({ v3: { servers: ['127.0.0.1:1'], options: 'no-such-word' } }));
      try {
        const before = readFileSync(stage.file, 'utf8');
        const origin = await stage.balancer.readOrigin();
        if (kind === 'haproxy') expect((await stage.balancer.rehearse())[0]).toMatch(/no-such-word/);
        await expect(stage.balancer.adopt(origin, stay)).rejects.toMatchObject({
          code: 'balancer.refused',
          message: expect.stringMatching(/no-such-word/) as string,
        });
        expect(readFileSync(stage.file, 'utf8')).toBe(before);
        expect((await ask(stage.server.endpoints[0] ?? '', 'GET', info)).body).toContain('2.6.13');
      } finally {
        await stage.close();
      }
    });

    it('leaves a reload that changes nothing as a failure, with the bytes of before', async () => {
      const stage = await startStage(kind, () => ({ reload: 'true', timeoutMs: 2000 }));
      try {
        const before = readFileSync(stage.file, 'utf8');
        const origin = await stage.balancer.readOrigin();
        await expect(stage.balancer.adopt(origin, stay)).rejects.toMatchObject({ code: 'balancer.refused' });
        expect(readFileSync(stage.file, 'utf8')).toBe(before);
        expect((await ask(stage.server.endpoints[0] ?? '', 'POST', write, '{}')).status).toBe(200);
      } finally {
        await stage.close();
      }
    });

    it('sees a leak through one listener of several, and a way around it', async () => {
      const stage = await startStage(kind, ({ two, config }) => ({
        listeners: [...config.listeners, `http://${two.address}`],
        direct: [`http://${two.address}`],
      }));
      try {
        await adopt(stage);
        await lead(stage, 'v2-ro');
        const leak = await stage.balancer.leakTest('v2-ro', stay);
        expect(leak).toMatchObject({ probes: 24, leaks: 8 });
        expect(leak.detail).toMatch(/over a fresh connection: 404 without a mark/);
        await lead(stage, 'v2-rw');
        expect((await stage.balancer.leakTest('v2-ro', stay)).leaks).toBe(24);
      } finally {
        await stage.close();
      }
    });

    it('is reached by a command for another machine, whose words reach no error', async () => {
      const stage = await startStage(kind, ({ server }) => {
        // As ssh: the last word is what the other side's shell runs.
        const remote = join(server.directory, 'remote');
        writeFileSync(remote, '#!/bin/sh\nfor script do :; done\nexec sh -c "$script"\n', { mode: 0o755 });
        return {
          access: [remote, '--password', 'hunter2'],
          socket: kind === 'nginx' ? null : '127.0.0.1:1',
          timeoutMs: 5000,
        };
      });
      try {
        const origin = await stage.balancer.readOrigin();
        expect(origin.files[0]?.sha256).toBe(digestOf(stage.file));
        if (kind === 'nginx') {
          await stage.balancer.adopt(origin, stay);
          await lead(stage, 'v3-rw');
          expect((await ask(stage.server.endpoints[0] ?? '', 'GET', info)).body).toContain('3.3.3');
        } else {
          const failure: unknown = await stage.balancer.adopt(origin, stay).catch((error: unknown) => error);
          expect(failure).toMatchObject({ code: 'balancer.unreachable' });
          expect(String(failure)).not.toContain('hunter2');
        }
      } finally {
        await stage.close();
      }
    });
  });
}

describe.skipIf(!available.haproxy.ok)(`haproxy, file and process${available.haproxy.note}`, () => {
  it('says of a socket that is gone that it does not answer, and not what the process serves', async () => {
    const stage = await startStage('haproxy');
    try {
      await adopt(stage);
      const deaf = openLoadBalancer('lb-1', { ...stage.config, socket: '127.0.0.1:1' });
      expect(await deaf.read()).toMatchObject({
        atRuntime: null,
        drift: "the map's file says v2-rw, and its socket does not answer",
      });
    } finally {
      await stage.close();
    }
  });

  it('notices a process that was told something else than the file, and brings both together', async () => {
    const stage = await startStage('haproxy');
    try {
      await adopt(stage);
      const map = join(stage.config.directory, 'lb-1.map');
      const tell = async (phase: TrafficPhase): Promise<void> => {
        const { Machine } = await import('../../src/load-balancer/machine.ts');
        await new Machine('lb-1', null, 5000).talk(stage.config.socket ?? '', `set map ${map} phase ${phase}`);
      };
      await tell('v3-rw');
      expect(await stage.balancer.read()).toEqual({
        inFile: 'v2-rw',
        atRuntime: 'v3-rw',
        drift: "the map's file says v2-rw, and the running process v3-rw",
      });
      expect(await stage.balancer.shift('v2-rw', stay)).toMatchObject({ changed: true });
      expect(await stage.balancer.read()).toEqual({ inFile: 'v2-rw', atRuntime: 'v2-rw', drift: null });
    } finally {
      await stage.close();
    }
  });

  it('keeps its phase over a reload that somebody makes', async () => {
    const stage = await startStage('haproxy');
    try {
      await adopt(stage);
      await lead(stage, 'v3-ro');
      process.kill(stage.server.pid, 'SIGUSR2');
      await lead(stage, 'v3-ro'); // nothing to shift; waits for the old worker
      expect(await stage.balancer.read()).toEqual({ inFile: 'v3-ro', atRuntime: 'v3-ro', drift: null });
      expect((await ask(stage.server.endpoints[0] ?? '', 'POST', write, '{}')).status).toBe(405);
    } finally {
      await stage.close();
    }
  });
});
