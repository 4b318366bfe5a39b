/**
 * Runs a transformer that was written for `etcdctl migrate`, and finds out which record each of its answers is about.
 *
 *     nodes, concatenated ──► program ──► records with a mod_revision      in any order, none to many a node
 *        │ by modifiedIndex                    │ by mod_revision
 *        └─────────► spool of what was sent ◄──┴── spool of answers        joined once the program has ended well
 *
 * Nothing in the format says which node an answer belongs to, but every file of v2 has a modifiedIndex of its own, and a
 * record without it as its mod_revision was of no use to etcdctl, which stores by that number. So that is what they are joined by. It
 * gives a record the expiry of its node, names both keys in the plan, and shows which nodes were left out. Answers with
 * another number are handed on as untraced.
 *
 * Both sides wait on disk, since a program may hold everything back to its end; memory is a few pages.
 */
import {
  invariant,
  keyFromBytes,
  keyToBytes,
  type Key,
  type Moving,
  type ProgramAnswer,
  type ProgramInput,
  type ProgramOrigin,
  type ProgramRecord,
  type ProgramRun,
  type Spool,
  type StoredRecord,
  type Version,
} from '@keyferry/core';
import { nodeJson, rootNode } from './etcd-node.ts';
import { KeyValueReader, NotAKeyValue, type KeyValue } from './key-value-reader.ts';
import type { ProgramProcess } from './program-process.ts';

const pageKeysMax = 1000;
const wholeRange = { start: '' as Key, end: null };
const notText = 'it is not UTF-8, and what a transformer is given has only text';

export async function* runMigrate(
  process: ProgramProcess,
  pages: AsyncIterable<readonly ProgramInput[]>,
  { scratch, nowMs }: ProgramRun,
): AsyncGenerator<readonly ProgramAnswer[]> {
  const [sent, answered] = [scratch.openSpool(), scratch.openSpool()];
  try {
    const unsendable: ProgramAnswer[] = [];
    const feeding = feed(process, pages, { sent, unsendable, nowMs });
    feeding.catch(() => process.kill());
    let nodes = 0;
    try {
      const reader = new KeyValueReader();
      const records = await gather(process, reader, answered);
      // What the source fails with, then how the program ended, then what it left unfinished.
      nodes = await feeding;
      await process.assertEndedWell();
      finish(process, reader);
      if (nodes > 0 && records === 0) throw process.failed(`it made nothing of ${nodes} records`);
    } finally {
      process.kill();
      await feeding.catch(() => 0); // thrown above, or of no interest any more
    }
    await sent.seal((index) => {
      throw process.failed(`two records of the source have the index ${indexOf(index)}: answers could be about either`);
    });
    await answered.seal();
    yield unsendable;
    yield* joined(sent, answered);
  } finally {
    sent.close();
    answered.close();
  }
}

interface Feeding {
  readonly sent: Spool;
  readonly unsendable: ProgramAnswer[];
  readonly nowMs: number;
}

async function feed(
  process: ProgramProcess,
  pages: AsyncIterable<readonly ProgramInput[]>,
  { sent, unsendable, nowMs }: Feeding,
): Promise<number> {
  let nodes = 0;
  if (!(await process.write(rootNode))) return nodes;
  for await (const page of pages) {
    let text = '';
    for (const input of page) {
      const json = nodeJson(input, nowMs);
      if (input.kind === 'record') {
        nodes += 1;
        if (json === null) unsendable.push({ kind: 'failed', of: originOf(input), detail: notText });
        else sent.add(sentRecord(input));
      }
      text += json ?? '';
    }
    if (text !== '' && !(await process.write(text))) return nodes;
  }
  process.endInput();
  return nodes;
}

/** How many answers came. */
async function gather(process: ProgramProcess, reader: KeyValueReader, answered: Spool): Promise<number> {
  let ordinal = 0;
  const take = (records: Iterable<KeyValue>): void => {
    for (const record of records) {
      ordinal += 1;
      answered.add(answerRecord(record, ordinal));
    }
  };
  for await (const piece of process.output()) {
    try {
      take(reader.take(piece));
    } catch (error) {
      throw invalidOf(process, error);
    }
  }
  return ordinal;
}

function finish(process: ProgramProcess, reader: KeyValueReader): void {
  try {
    reader.end();
  } catch (error) {
    throw invalidOf(process, error);
  }
}

function invalidOf(process: ProgramProcess, error: unknown): unknown {
  return error instanceof NotAKeyValue ? process.invalid(`byte ${error.at}`, error.message) : error;
}

/** In the order of the indexes, all of one length. A revision below 0, which no index is, comes behind all of them. */
const indexKey = (index: string): string => BigInt.asUintN(64, BigInt(index)).toString(16).padStart(16, '0');

const indexOf = (key: string): bigint => BigInt.asIntN(64, BigInt(`0x${key}`));

const originOf = ({ sourceKey, version, key, value }: ProgramRecord): ProgramOrigin => ({
  sourceKey,
  version,
  bytes: key.length + value.length,
});

/** Of what was sent, what has to be known when its answers are there. */
function sentRecord(input: ProgramRecord): StoredRecord {
  const { sourceKey, version, expiresAtMs, value } = input;
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value.length);
  return {
    key: indexKey(version) as Key,
    value: Buffer.concat([bytes, keyToBytes(sourceKey)]),
    version,
    expiresAtMs,
  };
}

/** Several may be about one node: each has a number of its own behind the index. The lease goes where a version would. */
function answerRecord({ key, value, modRevision, lease }: KeyValue, ordinal: number): StoredRecord {
  const keyLength = Buffer.alloc(4);
  keyLength.writeUInt32LE(key.length);
  return {
    key: `${indexKey(modRevision)}${String(ordinal).padStart(12, '0')}` as Key,
    value: Buffer.concat([keyLength, keyToBytes(key), value]),
    version: String(lease) as Version,
    expiresAtMs: null,
  };
}

interface Answer {
  readonly index: string;
  readonly key: Key;
  readonly value: Uint8Array;
  readonly lease: string;
}

function answerOf({ key, value, version }: StoredRecord): Answer {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const end = 4 + bytes.readUInt32LE(0);
  return {
    index: key.slice(0, 16),
    key: keyFromBytes(bytes.subarray(4, end)),
    value: bytes.subarray(end),
    lease: version,
  };
}

/** Both are in the order of the index. */
async function* joined(sent: Spool, answered: Spool): AsyncGenerator<readonly ProgramAnswer[]> {
  const answers = recordsOf(answered);
  let next = await answers.next();
  const takeUpTo = async function* (index: string | null): AsyncGenerator<Answer> {
    while (next.done !== true) {
      const answer = answerOf(next.value);
      if (index !== null && answer.index > index) return;
      yield answer;
      next = await answers.next();
    }
  };
  let page: ProgramAnswer[] = [];
  for await (const record of recordsOf(sent)) {
    const of = sentOrigin(record);
    const own: Answer[] = [];
    for await (const answer of takeUpTo(record.key)) {
      if (answer.index === record.key) own.push(answer);
      else page.push(untraced(answer));
    }
    page.push(answerAbout(of, own, record.expiresAtMs));
    if (page.length >= pageKeysMax) {
      yield page;
      page = [];
    }
  }
  for await (const answer of takeUpTo(null)) {
    page.push(untraced(answer));
    if (page.length < pageKeysMax) continue;
    yield page;
    page = [];
  }
  yield page;
}

function sentOrigin({ value, version }: StoredRecord): ProgramOrigin {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const sourceKey = keyFromBytes(bytes.subarray(4));
  return { sourceKey, version, bytes: sourceKey.length + bytes.readUInt32LE(0) };
}

function answerAbout(of: ProgramOrigin, answers: readonly Answer[], expiresAtMs: number | null): ProgramAnswer {
  if (answers.length === 0) return { kind: 'dropped', of };
  const leased = answers.find(({ lease }) => lease !== '0');
  if (leased !== undefined) return { kind: 'failed', of, detail: leaseDetail(leased.lease) };
  return { kind: 'kept', of, records: answers.map(({ key, value }) => ({ key, value, expiresAtMs })) };
}

function untraced({ key, value, lease, index }: Answer): ProgramAnswer {
  const record: Moving = { key, value, expiresAtMs: null };
  if (lease === '0') return { kind: 'untraced', records: [record] };
  const version = String(indexOf(index)) as Version;
  return {
    kind: 'failed',
    of: { sourceKey: key, version, bytes: key.length + value.length },
    detail: leaseDetail(lease),
  };
}

const leaseDetail = (lease: string): string =>
  `the program gave it the lease ${lease}, which nobody has granted; records take their expiry from the source`;

async function* recordsOf(spool: Spool): AsyncGenerator<StoredRecord> {
  for await (const { records, notCarried } of spool.scan(wholeRange, { pageKeysMax })) {
    invariant(notCarried.length === 0, 'only records are put there');
    yield* records;
  }
}
