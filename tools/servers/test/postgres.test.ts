/**
 * Goal: the bench itself can be trusted: PostgreSQL answers on the loopback interface only, to who has the password and,
 * with TLS, the certificates; it keeps its data through a crash, and leaves nothing behind.
 * Method: the real server, asked with psql; what is asserted is only what other suites build on.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { serverOrSkip, startPostgres } from '../src/index.ts';

const available = await serverOrSkip('postgres-15');

describe.skipIf(!available.ok)(`PostgreSQL${available.note}`, () => {
  it('has data of its own, keeps it through a crash and a restart, and leaves nothing behind', async () => {
    const server = await startPostgres({ walLevel: 'logical' });
    expect(await server.psql('SHOW server_version')).toMatch(/^15\./);
    expect(await server.psql('SHOW wal_level')).toBe('logical\n');
    await server.psql('CREATE TABLE kept (key text); INSERT INTO kept VALUES ($$a$$)');
    await server.kill();
    await server.restart();
    await server.restart();
    expect(await server.psql('SELECT key FROM kept')).toBe('a\n');
    expect(existsSync(dirname(server.logFile))).toBe(true);
    await server.stop();
    expect(existsSync(dirname(server.logFile))).toBe(false);
  });

  it('listens on the loopback interface only, and stays quiet where nobody asked it to vacuum', async () => {
    await using server = await startPostgres();
    const others = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
    const elsewhere = others.find(({ internal, family }) => !internal && family === 'IPv4');
    if (elsewhere !== undefined) expect(await answers(elsewhere.address, server.port)).toBe(false);
    expect(await answers('127.0.0.1', server.port)).toBe(true);
    expect(await server.psql('SHOW autovacuum')).toBe('off\n');
  });

  it('with TLS takes only who comes with it', async () => {
    await using server = await startPostgres({ tls: { clientCertAuth: true } });
    const encrypted = 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()';
    expect(await server.psql(encrypted)).toBe('t\n');
  });

  it('uses a data directory that is named, and leaves it there whole', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'keyferry-postgres-data-'));
    try {
      const first = await startPostgres({ dataDir });
      await first.psql('CREATE TABLE kept (key text)');
      await first.stop();
      await using second = await startPostgres({ dataDir });
      expect(await second.psql('SELECT count(*) FROM kept')).toBe('0\n');
    } finally {
      rmSync(dataDir, { recursive: true, force: true });
    }
  });
});

function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
