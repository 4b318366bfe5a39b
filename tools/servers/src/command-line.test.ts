/** Goal: one line starts a source and a target, each with its own options, and a slip is refused before anything starts. */
import { describe, expect, it } from 'vitest';
import { parseCommandLine } from './command-line.ts';
import { serverKinds } from './definitions.ts';

const parse = (line: string) => parseCommandLine(line.split(' ').filter((word) => word !== ''));
const plain = { v2: false, members: 1, tls: false, port: undefined, dataDir: undefined };

describe('parseCommandLine', () => {
  it('gives each server the options that follow it', () => {
    expect(parse('start etcd-3.4 --v2 --port 2379 etcd-3.5 --members 3 --tls --detach')).toEqual({
      kind: 'start',
      servers: [
        { ...plain, kind: 'etcd-3.4', v2: true, port: 2379 },
        { ...plain, kind: 'etcd-3.5', members: 3, tls: true },
      ],
      detach: true,
      json: false,
    });
  });

  it.each([
    { line: 'fetch', want: { kind: 'fetch', servers: serverKinds } },
    { line: 'fetch etcd-3.3', want: { kind: 'fetch', servers: ['etcd-3.3'] } },
    { line: 'stop', want: { kind: 'stop', ids: [] } },
    { line: 'stop etcd-3.4-0a1b2c', want: { kind: 'stop', ids: ['etcd-3.4-0a1b2c'] } },
    {
      line: 'load-v2 http://127.0.0.1:2379 dump.json',
      want: { kind: 'load-v2', endpoint: 'http://127.0.0.1:2379', file: 'dump.json' },
    },
    {
      line: 'fill-registry http://127.0.0.1:8080 --versions 10000',
      want: { kind: 'fill-registry', endpoint: 'http://127.0.0.1:8080', versions: 10_000 },
    },
    {
      line: 'fill-registry http://127.0.0.1:8080',
      want: { kind: 'fill-registry', endpoint: 'http://127.0.0.1:8080', versions: 0 },
    },
    { line: 'list --json', want: { kind: 'list', json: true } },
    { line: '', want: { kind: 'help' } },
  ])('reads "$line"', ({ line, want }) => expect(parse(line)).toEqual(want));

  it.each([
    'restart',
    'load-v2 http://127.0.0.1:2379',
    'fill-registry',
    'fill-registry http://127.0.0.1:8080 --versions none',
    'start',
    'start etcd-2.3',
    'start --v2 etcd-3.4',
    'start etcd-3.4 --members 2',
    'start etcd-3.4 --port',
    'start etcd-3.4 --port 70000',
    'start etcd-3.4 --data-dir',
    'start etcd-3.4 --fast',
    'list everything',
  ])('refuses "%s"', (line) =>
    expect(() => parse(line)).toThrow(expect.objectContaining({ code: 'server.bad-argument' })),
  );
});
