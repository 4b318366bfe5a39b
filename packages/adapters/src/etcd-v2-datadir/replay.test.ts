/**
 * Goal: of the files of a member what counts is taken and nothing else, and what is damaged is named, with its place.
 * Method: directories put together record by record, each with one thing about it; then a directory that an etcd 2.3.8
 * wrote, against what that server answered.
 */
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fileOf } from '../../test/bbolt-memory-file.ts';
import {
  bytesField,
  memberChange,
  numberField,
  put,
  requestBytes,
  SegmentWriter,
  snapshotBytes,
  writeDatadir,
  type DatadirFiles,
} from '../../test/datadir-writer.ts';
import { findDataDirectory } from './layout.ts';
import { replay, type Replayed } from './replay.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyferry-replay-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function read(files: DatadirFiles, upTo: 'end' | 'last-good' = 'end'): Promise<Replayed> {
  return await replay(await findDataDirectory(await writeDatadir(folder, files), null), { upTo });
}

/** `/a=1`, of the user's files. */
function filesOf({ tree }: Replayed): readonly string[] {
  const found: string[] = [];
  const walk = (path: string, children: typeof tree.root.children): void => {
    for (const [name, node] of children ?? []) {
      if (node.children === null) found.push(`${path}/${name}=${node.value}`);
      else walk(`${path}/${name}`, node.children);
    }
  };
  walk('', tree.root.children?.get('1')?.children ?? null);
  return found.toSorted();
}

const member = { id: 1, peerURLs: ['http://a:1'], name: 'm1' };
const addMember = memberChange(0, 1n, member);
const addOther = memberChange(0, 5n, { id: 5, peerURLs: ['http://b:1'] });
const confChange = { type: 1 };

/** A log whose member is alone: entry 1 adds it, entries from 2 on set /k2 and so on. */
function aloneLog(entries: number, writer = new SegmentWriter()): SegmentWriter {
  writer.metadata().snapshot(0, 0).entry(1, addMember, confChange).hardState(1);
  for (let index = 2; index <= entries; index += 1) {
    writer.entry(index, put(`/k${index}`, String(index))).hardState(index);
  }
  return writer;
}

describe.each(['bare', 'padded'] as const)('a log with %s lengths', (framing) => {
  it('is carried out from its first entry', async () => {
    const result = await read({ segments: [[0, aloneLog(4, new SegmentWriter(framing)).bytes()]] });
    expect(filesOf(result)).toEqual(['/k2=2', '/k3=3', '/k4=4']);
    expect(result.facts).toMatchObject({
      memberId: '1',
      clusterId: '2',
      appliedIndex: 4,
      uncommitted: 0,
      snapshot: null,
    });
    expect(result.membership.list()).toEqual([{ id: '1', name: null, peerUrls: ['http://a:1'], clientUrls: [] }]);
    expect(result.tree.currentIndex).toBe(4); // the member took one too
  });

  it('goes on from one segment into the next', async () => {
    const first = aloneLog(3, new SegmentWriter(framing));
    const second = new SegmentWriter(framing, first.runningCrc)
      .metadata()
      .hardState(3)
      .entry(4, put('/k4', '4'))
      .hardState(4);
    const result = await read({
      segments: [
        [0, first.bytes()],
        [4, second.bytes()],
      ],
    });
    expect(filesOf(result)).toEqual(['/k2=2', '/k3=3', '/k4=4']);
  });

  it('is refused when a segment is not the one that followed', async () => {
    const second = new SegmentWriter(framing, 1234).metadata().entry(4, put('/k4', '4'));
    await expect(
      read({
        segments: [
          [0, aloneLog(3, new SegmentWriter(framing)).bytes()],
          [4, second.bytes()],
        ],
      }),
    ).rejects.toMatchObject({
      code: 'datadir.damaged',
      details: { offset: 0, file: expect.stringContaining('0000000000000001-0000000000000004.wal') as string },
    });
  });
});

describe('what counts of a log', () => {
  const three = (): SegmentWriter =>
    new SegmentWriter().metadata().snapshot(0, 0).entry(1, addMember, confChange).entry(2, addOther, confChange);

  it('is what is committed', async () => {
    const log = three().entry(3, put('/done', '1')).hardState(3).entry(4, put('/not', '2'));
    const result = await read({ segments: [[0, log.bytes()]] });
    expect(filesOf(result)).toEqual(['/done=1']);
    expect(result.facts).toMatchObject({ appliedIndex: 3, uncommitted: 1 });
  });

  it('is all of it when the member is alone, as it commits by writing', async () => {
    const log = new SegmentWriter().metadata().snapshot(0, 0).entry(1, addMember, confChange).hardState(1);
    const result = await read({ segments: [[0, log.entry(2, put('/done', '1')).bytes()]] });
    expect(filesOf(result)).toEqual(['/done=1']);
  });

  it('ends for a lone member with the entry that makes it one of two', async () => {
    const log = new SegmentWriter().metadata().snapshot(0, 0).entry(1, addMember, confChange).hardState(1);
    log.entry(2, put('/done', '1')).entry(3, addOther, confChange).entry(4, put('/not', '2'));
    const result = await read({ segments: [[0, log.bytes()]] });
    expect(filesOf(result)).toEqual(['/done=1']);
    expect(result.facts.uncommitted).toBe(1);
  });

  it('is not what a later leader took back, however far it went', async () => {
    const log = three().entry(3, put('/a', 'old')).entry(4, put('/b', 'old')).entry(5, put('/c', 'old'));
    log.entry(3, put('/a', 'new'), { term: 2 }).entry(4, put('/d', 'new'), { term: 2 });
    log.entry(4, put('/e', 'newest'), { term: 3 }).hardState(4, 3);
    expect(filesOf(await read({ segments: [[0, log.bytes()]] }))).toEqual(['/a=new', '/e=newest']);
  });

  it('is said at its end, as etcdctl backup writes it', async () => {
    const log = new SegmentWriter()
      .metadata()
      .snapshot(0, 0)
      .entry(1, put('/a', '1'))
      .entry(2, put('/b', '2'))
      .entry(3, put('/c', '3'))
      .hardState(2);
    const result = await read({ segments: [[0, log.bytes()]] });
    expect(filesOf(result)).toEqual(['/a=1', '/b=2']);
    expect(result.facts.uncommitted).toBe(1);
  });

  it('is what is for v2: bare, or in the union of 3.x; what is for v3 is passed over', async () => {
    const v3Put = Buffer.concat([
      numberField(1, 77),
      bytesField(4, Buffer.concat([bytesField(1, 'k'), bytesField(2, 'v')])),
    ]);
    const nested = bytesField(2, put('/nested', '1'));
    const log = aloneLog(1).entry(2, v3Put).entry(3, nested).entry(4, Buffer.alloc(0)).hardState(4);
    const result = await read({ segments: [[0, log.bytes()]] });
    expect(filesOf(result)).toEqual(['/nested=1']);
    expect(result.facts.entries).toEqual({ v2: 1, members: 1, other: 2 });
  });

  it('keeps bytes that are not UTF-8, of keys and of values', async () => {
    const path = Buffer.from([0x2f, 0x31, 0x2f, 0xff, 0xfe]);
    const request = Buffer.concat([bytesField(2, 'PUT'), bytesField(3, path), bytesField(4, Buffer.from([0x80]))]);
    const result = await read({ segments: [[0, aloneLog(1).entry(2, request).hardState(2).bytes()]] });
    expect(filesOf(result)).toEqual(['/\xff\xfe=\x80']);
  });

  it('admits the largest numbers that a client may send', async () => {
    const log = aloneLog(2)
      .entry(3, put('/k2', 'x', { prevIndex: 18446744073709551615n }))
      .hardState(3);
    const result = await read({ segments: [[0, log.bytes()]] });
    expect([filesOf(result), result.facts.refused]).toEqual([['/k2=2'], 1]);
  });

  it('takes indexes for members and their attributes as etcd does, and none for what it refuses', async () => {
    const attributes = (id: string): Buffer =>
      requestBytes({ method: 'PUT', path: `/0/members/${id}/attributes`, value: '{"name":"m1"}' });
    const log = aloneLog(1).entry(2, attributes('1')).entry(3, attributes('99')).entry(4, addMember, confChange);
    log.entry(5, memberChange(0, 6n, member), confChange).entry(6, addOther, confChange);
    log
      .entry(7, memberChange(1, 5n, null), confChange)
      .entry(8, addOther, confChange)
      .entry(9, put('/a', '1'))
      .hardState(9);
    const result = await read({ segments: [[0, log.bytes()]] });
    // 1 add, 2 attributes, 3 unknown: none, 4 there: none, 5 URL taken: none, 6 add, 7 remove: two, 8 removed: none, 9 set
    expect(result.tree.currentIndex).toBe(6);
    expect(result.membership.list().map(({ id, name }) => [id, name])).toEqual([['1', 'm1']]);
  });

  it('expires by the time that the log says, and never by that of the reader', async () => {
    const expiration = 1_500_000_000_000_000_000n;
    const log = aloneLog(1)
      .entry(2, put('/old', '1', { expiration }))
      .entry(3, put('/older', '1', { expiration: expiration - 1n }));
    log.entry(4, requestBytes({ method: 'SYNC', time: expiration - 1n })).hardState(4);
    expect(filesOf(await read({ segments: [[0, log.bytes()]] }))).toEqual(['/old=1']);
  });

  it('is as 3.5 does it where a 3.5 was at work last', async () => {
    const version = (value: string): Buffer => requestBytes({ method: 'PUT', path: '/0/version', value });
    const log = (last: string): SegmentWriter =>
      aloneLog(1)
        .entry(2, version('3.4.0'))
        .entry(3, put('/d', '', { dir: true }))
        .entry(4, put('/d', '', { prevExist: true, refresh: true, expiration: 4_000_000_000_000_000_000n }))
        .entry(5, version(last))
        .hardState(5);
    const at34 = await read({ segments: [[0, log('3.4.0').bytes()]] });
    expect([at34.tree.currentIndex, at34.facts.clusterVersion]).toEqual([5, '3.4.0']);
    expect(at34.facts).toMatchObject({ directoryUpdates: 1, directoriesCanBeUpdated: true });
    const at35 = await read({ segments: [[0, log('3.5.0').bytes()]] });
    expect([at35.tree.currentIndex, at35.facts.clusterVersion]).toEqual([4, '3.5.0']);
  });
});

const treeJson = (value: string, index: number): string =>
  JSON.stringify({
    Root: {
      Path: '/',
      CreatedIndex: 0,
      ModifiedIndex: 0,
      ExpireTime: '0001-01-01T00:00:00Z',
      Value: '',
      Children: {
        '0': {
          Path: '/0',
          CreatedIndex: 0,
          ModifiedIndex: 0,
          ExpireTime: '0001-01-01T00:00:00Z',
          Value: '',
          Children: {},
        },
        '1': {
          Path: '/1',
          CreatedIndex: 0,
          ModifiedIndex: 0,
          ExpireTime: '0001-01-01T00:00:00Z',
          Value: '',
          Children: {
            snap: {
              Path: '/1/snap',
              ACL: '',
              CreatedIndex: 2,
              ModifiedIndex: 3,
              ExpireTime: '2099-01-01T00:00:00.123456789+01:00',
              Value: value,
              Children: null,
            },
          },
        },
      },
    },
    WatcherHub: { EventHistory: { Queue: { Events: [{ node: { key: '/x', value: '}' } }], Size: 1 }, StartIndex: 1 } },
    CurrentIndex: index,
    Stats: {},
    CurrentVersion: 2,
  });
const snapshotAt = (index: number, value: string) =>
  [{ index, term: 1 }, snapshotBytes({ index, term: 1, json: treeJson(value, index) })] as const;

describe('snapshots', () => {
  const log = (): SegmentWriter => aloneLog(6).snapshot(3, 1).snapshot(5, 1);

  it('the newest is where it begins, and the log goes on from it', async () => {
    const result = await read({
      segments: [[0, log().bytes()]],
      snapshots: [snapshotAt(3, 'three'), snapshotAt(5, 'five')],
    });
    expect(filesOf(result)).toEqual(['/k6=6', '/snap=five']);
    expect(result.facts.snapshot).toMatchObject({ index: 5, term: 1, voters: ['1'] });
    const node = result.tree.find('/1/snap');
    expect(node).toMatchObject({ createdIndex: 2, modifiedIndex: 3, expiresAtNs: 4_070_905_200_123_456_789n });
  });

  it('one that is damaged is passed over for an older one, and said', async () => {
    const [point, bytes] = snapshotAt(5, 'five');
    const broken = Buffer.from(bytes);
    broken[100] = (broken[100] ?? 0) ^ 1;
    const result = await read({ segments: [[0, log().bytes()]], snapshots: [snapshotAt(3, 'three'), [point, broken]] });
    expect(filesOf(result)).toEqual(['/k4=4', '/k5=5', '/k6=6', '/snap=three']);
    expect(result.facts.brokenSnapshots).toHaveLength(1);
  });

  it.each([
    {
      name: 'that the log does not know, beside one that it knows',
      snapshots: [snapshotAt(4, 'four'), snapshotAt(9, 'nine')],
    },
    { name: 'that is newer than what is committed', snapshots: [snapshotAt(9, 'nine')] },
  ])('one $name is passed over', async ({ snapshots }) => {
    const result = await read({ segments: [[0, aloneLog(6).snapshot(9, 1).bytes()]], snapshots });
    expect(filesOf(result)).toHaveLength(5);
    expect(result.facts.snapshot).toBeNull();
  });

  it('of which the log knows none are not passed over: it is the log of another member', async () => {
    const [snapshots, bytes] = [[snapshotAt(4, 'four')], aloneLog(6).bytes()];
    await expect(read({ segments: [[0, bytes]], snapshots })).rejects.toMatchObject({
      code: 'datadir.incomplete',
      details: { detail: expect.stringContaining('knows none of its snapshots') as string },
    });
    // The record that tells of it may be what did not reach the disk.
    expect(filesOf(await read({ segments: [[0, bytes.subarray(0, -4)]], snapshots }))).toHaveLength(5);
  });

  it('one of which the log knows nothing, but which it comes to, is left by a server that was killed before it said so', async () => {
    const expiration = 4_070_905_200_123_456_789n;
    const whole = aloneLog(1).entry(2, put('/snap', 'two'));
    whole.entry(3, put('/snap', 'three', { prevExist: true, expiration })).entry(4, put('/k4', '4'));
    const result = await read({ segments: [[0, whole.bytes()]], snapshots: [snapshotAt(3, 'three')] });
    expect(filesOf(result)).toEqual(['/k4=4', '/snap=three']);
    expect(result.facts.snapshot).toBeNull();
  });

  it('there must be one where the log does not reach back to its beginning', async () => {
    const later = new SegmentWriter('padded', 77).metadata().hardState(3).entry(4, put('/k4', '4')).hardState(4);
    const files = { segments: [[4, later.bytes()]], firstSequence: 1 } as const;
    await expect(read(files)).rejects.toMatchObject({
      code: 'datadir.incomplete',
      details: { detail: 'the log begins at entry 4, and no snapshot reaches up to there: there is no snapshot' },
    });
  });
});

describe('a log that ends torn', () => {
  it('in the midst of a record is read up to the one before, and says so', async () => {
    const whole = aloneLog(4).bytes();
    const result = await read({ segments: [[0, whole.subarray(0, whole.length - 50)]] });
    expect(result.facts.log.end).toMatchObject({ kind: 'torn' });
    expect(filesOf(result)).toEqual(['/k2=2', '/k3=3']);
  });

  it('with a sector that never reached the disk is read up to the record before', async () => {
    const writer = aloneLog(3);
    const at = writer.length;
    const bytes = writer.entry(4, put('/k4', Buffer.alloc(3000, 'x'))).bytes(4096);
    bytes.fill(0, Math.ceil((at + 300) / 512) * 512, Math.ceil((at + 300) / 512) * 512 + 512);
    const result = await read({ segments: [[0, bytes]] });
    expect(result.facts.log.end).toMatchObject({ kind: 'torn', offset: at });
    expect(filesOf(result)).toEqual(['/k2=2', '/k3=3']);
  });

  it('is not torn where a length is damaged: etcd cuts off what follows, and here it is an error', async () => {
    const writer = aloneLog(3);
    const at = writer.length;
    const bytes = writer.entry(4, put('/k4', '4')).hardState(4).entry(5, put('/k5', '5')).hardState(5).bytes();
    bytes[at + 3] = 0x7f;
    await expect(read({ segments: [[0, bytes]] })).rejects.toMatchObject({
      code: 'datadir.damaged',
      details: { offset: at },
    });
  });

  it('is not torn where a length is damaged, also if it reaches into the zeros at the end', async () => {
    const writer = aloneLog(3);
    const at = writer.length;
    const bytes = writer
      .entry(4, put('/k4', '4'))
      .hardState(4)
      .entry(5, put('/k5', '5'))
      .hardState(5)
      .bytes(64 * 1024);
    bytes[at + 1] = 0x08;
    await expect(read({ segments: [[0, bytes]] })).rejects.toMatchObject({
      code: 'datadir.damaged',
      details: { offset: at },
    });
  });

  it('is not torn in any segment but the last', async () => {
    const first = aloneLog(4);
    const second = new SegmentWriter('padded', first.runningCrc).metadata().hardState(4);
    const cut = first.bytes().subarray(0, first.length - 5);
    await expect(
      read({
        segments: [
          [0, cut],
          [5, second.bytes()],
        ],
      }),
    ).rejects.toMatchObject({ code: 'datadir.damaged' });
  });

  it('with a segment that holds nothing has lost what was in it, and is not taken for whole', async () => {
    const segments = (last: Buffer) => [[0, aloneLog(3).bytes()] as const, [4, last] as const];
    for (const last of [Buffer.alloc(0), Buffer.alloc(4096)]) {
      await expect(read({ segments: segments(last) })).rejects.toMatchObject({
        code: 'datadir.damaged',
        details: { file: expect.stringContaining('0000000000000001-') as string, offset: 0 },
      });
      expect(filesOf(await read({ segments: segments(last) }, 'last-good'))).toEqual(['/k2=2', '/k3=3']);
    }
  });

  it('before what the v3 store holds is no whole log: its last segment is missing', async () => {
    await writeDatadir(folder, { segments: [[0, aloneLog(6).bytes()]] });
    const index = Buffer.alloc(8);
    const state = async (reached: bigint): Promise<void> => {
      index.writeBigUInt64BE(reached);
      const database = fileOf({ key: [], meta: [[Buffer.from('consistent_index'), index]] });
      await mkdir(join(folder, 'member', 'snap'), { recursive: true });
      await writeFile(join(folder, 'member', 'snap', 'db'), database);
    };
    await state(6n);
    expect(filesOf(await read({}))).toHaveLength(5);
    await state(7n);
    await expect(read({})).rejects.toMatchObject({
      code: 'datadir.incomplete',
      details: { detail: expect.stringContaining('holds entry 7, and the log in') as string },
    });
    expect(filesOf(await read({}, 'last-good'))).toHaveLength(5);
    await writeFile(join(folder, 'member', 'snap', 'db'), 'nothing of bbolt');
    expect(filesOf(await read({}))).toHaveLength(5);
  });

  it('before what is committed is no whole log', async () => {
    const writer = new SegmentWriter().metadata().snapshot(0, 0).entry(1, addMember, confChange).hardState(7);
    await expect(read({ segments: [[0, writer.bytes()]] })).rejects.toMatchObject({
      code: 'datadir.incomplete',
      details: { detail: 'entry 7 is committed, and the log ends with entry 1' },
    });
  });
});

describe('a damaged record', () => {
  const damagedLog = (): { readonly bytes: Buffer; readonly at: number } => {
    const writer = aloneLog(3);
    const at = writer.length;
    const bytes = writer.entry(4, put('/k4', '4')).hardState(4).entry(5, put('/k5', '5')).hardState(5).bytes(512);
    bytes[at + 40] = (bytes[at + 40] ?? 0) ^ 0x10;
    return { bytes, at };
  };

  it('is named with its file and place', async () => {
    const { bytes, at } = damagedLog();
    await expect(read({ segments: [[0, bytes]] })).rejects.toMatchObject({
      code: 'datadir.damaged',
      details: {
        file: join(folder, 'member', 'wal', '0000000000000000-0000000000000000.wal'),
        offset: at,
        detail: expect.stringContaining('the checksum does not match') as string,
      },
    });
  });

  it('is left where the first pass left it, also at a record that is framed well and says another member', async () => {
    const log = aloneLog(3).metadata(3n).entry(4, put('/k4', '4')).hardState(4);
    const result = await read({ segments: [[0, log.bytes()]] }, 'last-good');
    expect(filesOf(result)).toEqual(['/k2=2', '/k3=3']);
    expect(result.facts.log.end.kind).toBe('damaged');
  });

  it('ends what is read when that is asked for', async () => {
    const { bytes, at } = damagedLog();
    const result = await read({ segments: [[0, bytes]] }, 'last-good');
    expect(filesOf(result)).toEqual(['/k2=2', '/k3=3']);
    expect(result.facts.log.end).toMatchObject({ kind: 'damaged', error: { details: { offset: at } } });
  });

  it('does not hide a snapshot that lies behind it, when that is asked for', async () => {
    const { bytes } = damagedLog();
    const result = await read({ segments: [[0, bytes]], snapshots: [snapshotAt(5, 'five')] }, 'last-good');
    expect(filesOf(result)).toEqual(['/snap=five']);
  });

  it.each([
    {
      name: 'of an unknown type',
      spoil: (w: SegmentWriter) => w.record(9, Buffer.alloc(3)),
      detail: 'there is no type 9',
    },
    { name: 'of another member', spoil: (w: SegmentWriter) => w.metadata(3n), detail: 'it is of member 3' },
    {
      name: 'that leaves one out',
      spoil: (w: SegmentWriter) => w.entry(5, put('/k5', '5')),
      detail: 'entry 5 follows entry 3',
    },
    {
      name: 'whose request is none',
      spoil: (w: SegmentWriter) => w.entry(4, Buffer.from([0xff])).hardState(4),
      detail: 'does not end',
    },
    {
      name: 'of a type of entry that etcd does not write',
      spoil: (w: SegmentWriter) => w.entry(4, Buffer.alloc(0), { type: 2 }).hardState(4),
      detail: 'an entry is of type 2',
    },
  ])('$name is named too', async ({ spoil, detail }) => {
    const log = spoil(aloneLog(3));
    await expect(read({ segments: [[0, log.bytes()]] })).rejects.toMatchObject({
      code: 'datadir.damaged',
      details: { detail: expect.stringContaining(detail) as string },
    });
  });
});

describe('a directory', () => {
  it('may be the member directory itself', async () => {
    await writeDatadir(folder, { segments: [[0, aloneLog(2).bytes()]] });
    const result = await replay(await findDataDirectory(join(folder, 'member'), null), { upTo: 'end' });
    expect(filesOf(result)).toEqual(['/k2=2']);
  });

  it('is not the one of a member when it has neither log nor snapshots', async () => {
    await expect(findDataDirectory(folder, null)).rejects.toMatchObject({ code: 'datadir.not-found' });
    await expect(findDataDirectory(join(folder, 'none'), null)).rejects.toMatchObject({ code: 'datadir.not-found' });
  });

  it('without a log is not enough', async () => {
    await expect(read({ snapshots: [snapshotAt(5, 'five')] })).rejects.toMatchObject({ code: 'datadir.incomplete' });
  });

  it('of which the log is not where it is said to be is named, with that place', async () => {
    await writeDatadir(folder, { segments: [[0, aloneLog(2).bytes()]] });
    const elsewhere = join(folder, 'elsewhere');
    const refused = (why: string) => ({
      code: 'datadir.not-found',
      details: { directory: folder, detail: expect.stringContaining(why) as string },
    });
    await expect(findDataDirectory(folder, elsewhere)).rejects.toMatchObject(refused(`${elsewhere}, and there is no`));
    await rename(join(folder, 'member', 'wal'), elsewhere);
    await expect(findDataDirectory(folder, null)).rejects.toMatchObject(refused('--wal-dir keeps it elsewhere'));
    const found = await findDataDirectory(folder, elsewhere);
    expect(filesOf(await replay(found, { upTo: 'end' }))).toEqual(['/k2=2']);
    await expect(replay(await findDataDirectory(folder, folder), { upTo: 'end' })).rejects.toMatchObject({
      details: { detail: `there is no log in ${folder} (no *.wal)` },
    });
  });

  it('may hold what etcd leaves behind while it works', async () => {
    await writeDatadir(folder, { segments: [[0, aloneLog(2).bytes()]] });
    for (const name of ['0.tmp', '0000000000000000-0000000000000000.wal.broken']) {
      await writeFile(join(folder, 'member', 'wal', name), 'x');
    }
    await cp(join(folder, 'member', 'wal'), join(folder, 'member', 'snap'), { recursive: true });
    expect(filesOf(await read({}))).toEqual(['/k2=2']);
  });
});

/** Recorded from etcd 2.3.8: bare lengths, a snapshot, refused and conditional requests, expiries, in-order keys. */
describe('what an etcd 2.3.8 wrote', () => {
  const input = join(import.meta.dirname, '../../../../examples/06-etcd-v2-datadir-to-sqlite/input');

  it('holds what that server answered', async () => {
    const { tree, facts } = await replay(await findDataDirectory(join(input, 'data'), null), { upTo: 'end' });
    expect(facts).toMatchObject({ clusterVersion: '2.3.0', snapshot: { index: 41 }, log: { padded: false } });
    expect(tree.currentIndex).toBe(56); // X-Etcd-Index of that answer
    const { node: root } = JSON.parse(await readFile(join(input, 'answer.json'), 'utf8')) as { node: Extern };
    const said = listed(root);
    const found = said.map(([key]) => {
      const node = tree.find(Buffer.from(`/1${key}`).toString('latin1'));
      if (typeof node === 'number') return [key, node];
      const { createdIndex, modifiedIndex, children, value } = node;
      const text = children === null ? Buffer.from(value, 'latin1').toString('utf8') : null;
      const shown = [...(children?.keys() ?? [])].filter((name) => !name.startsWith('_'));
      return [key, createdIndex, modifiedIndex, text, shown.length];
    });
    expect(said.length).toBeGreaterThan(50);
    expect(found).toEqual(said);
  });
});

interface Extern {
  readonly key?: string;
  readonly value?: string;
  readonly createdIndex?: number;
  readonly modifiedIndex?: number;
  readonly nodes?: readonly Extern[];
}

/** Key, indexes, value and number of children of each node that an answer lists. */
function listed({ key, value, createdIndex, modifiedIndex, nodes = [] }: Extern): [string, ...unknown[]][] {
  const below = nodes.flatMap(listed);
  return key === undefined ? below : [[key, createdIndex, modifiedIndex, value ?? null, nodes.length], ...below];
}
