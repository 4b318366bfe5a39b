/**
 * Goal: the bench itself can be trusted: nginx and HAProxy answer on the loopback ports that they were given, are checked
 * and reloaded by the command of their own directory, and leave neither processes nor files behind.
 * Method: the real programs; a reload is seen in another worker's answer.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { request, serverOrSkip, startHaproxy, startNginx, waitUntil } from '../src/index.ts';

const nginxHere = await serverOrSkip('nginx-1.22');
const haproxyHere = await serverOrSkip('haproxy-2.6');

const answer = async (url: string): Promise<string> => (await request(url, { timeoutMs: 10_000 })).body.trim();

describe.skipIf(!nginxHere.ok)(`nginx${nginxHere.note}`, () => {
  const site = (port: number | undefined, word: string): string =>
    `server { listen 127.0.0.1:${port}; location / { return 200 ${word}; } }\n`;

  it('serves its files, takes a reload, and ends with its workers', async () => {
    const nginx = await startNginx({ files: ({ ports }) => ({ 'conf.d/site.conf': site(ports[0], 'one') }) });
    const url = `${nginx.endpoints[0]}/`;
    expect(await answer(url)).toBe('one');
    writeFileSync(join(nginx.configDirectory, 'conf.d/site.conf'), site(nginx.ports[0], 'two'));
    execFileSync(nginx.command, ['-t'], { stdio: 'ignore' });
    execFileSync(nginx.command, ['-s', 'reload'], { stdio: 'ignore' });
    // A worker on its way out may close a connection that just came in.
    expect(await waitUntil(async () => (await answer(url).catch(() => '')) === 'two', 30_000)).toBe(true);
    await nginx.stop();
    expect(existsSync(nginx.directory)).toBe(false);
    await expect(answer(url)).rejects.toThrow(/ECONNREFUSED/);
  });
});

describe.skipIf(!haproxyHere.ok)(`HAProxy${haproxyHere.note}`, () => {
  it('serves its file, checks another one, and ends with its workers', async () => {
    const haproxy = await startHaproxy({
      files: ({ ports }) => ({
        'haproxy.cfg': `defaults\n    mode http\n    timeout client 30s\n\nfrontend f\n    bind 127.0.0.1:${ports[0]}\n    http-request return status 200 content-type text/plain string "one"\n`,
      }),
    });
    const url = `${haproxy.endpoints[0]}/`;
    expect(await answer(url)).toBe('one');
    execFileSync(haproxy.command, ['-c', '-f', haproxy.configFile], { stdio: 'ignore' });
    await haproxy.stop();
    expect(existsSync(haproxy.directory)).toBe(false);
    await expect(answer(url)).rejects.toThrow(/ECONNREFUSED/);
  });
});
