/**
 * Runs a program that speaks keyferry's own protocol: one JSON object a line in, one a line out, each answer under the
 * number of its record and in their order. The format is a promise to other people's programs:
 * docs/protocols/record-programs.md states it, and its examples are this file's test.
 *
 *     hello ──► hello;  record 1, record 2, …  ──► answer 1, answer 2, …;  end of input ──► end of output, exit code 0
 *
 * Records are written as long as few enough are unanswered, so that memory stays that of a window, and a program that
 * reads much before it answers is not made to wait for each.
 */
import {
  escapeControls,
  instantText,
  keyFromBytes,
  keyFromText,
  keyToText,
  type Key,
  type Moving,
  type ProgramAnswer,
  type ProgramInput,
  type ProgramOrigin,
  type ProgramRecord,
} from '@keyferry/core';
import type { ProgramProcess } from './program-process.ts';

const protocolVersion = 1;
const hello = { keyferry: 'records', version: protocolVersion };

/** Records that may be unanswered; a page of the engine's. Beyond this many bytes of them, fewer. */
const unansweredMax = 1000;
const unansweredBytesMax = 8 * 1024 * 1024;
const lineBytesMax = 64 * 1024 * 1024;

interface Unanswered {
  readonly id: number;
  readonly record: ProgramRecord;
}

export async function* runJsonLines(
  process: ProgramProcess,
  pages: AsyncIterable<readonly ProgramInput[]>,
  migration: string,
): AsyncGenerator<readonly ProgramAnswer[]> {
  const window = new Window(process);
  const feeding = feed(process, pages, window, migration);
  feeding.catch(() => process.kill());
  const lines = new Lines(process);
  let greeted = false;
  try {
    for await (const piece of process.output()) {
      const answers: ProgramAnswer[] = [];
      for (const line of lines.take(piece)) {
        if (greeted) answers.push(readAnswer(process, line, window.oldest));
        else assertHello(process, line);
        if (greeted) window.answered();
        greeted = true;
      }
      yield answers;
    }
    window.close();
    // What the source fails with, then how the program ended, then what it left unfinished.
    await feeding;
    if (window.count > 0) process.endInput();
    await process.assertEndedWell();
    lines.end();
    if (!greeted) throw process.invalid('line 1', 'there is no first line that says which protocol it speaks');
    if (window.count > 0) throw process.failed(`it left ${window.count} of the records without an answer`);
  } finally {
    window.close();
    process.kill();
    await feeding.catch(() => undefined); // thrown above, or of no interest any more
  }
}

/** What was sent and has no answer yet. Whoever sends waits while it is full, until half of it has been answered. */
class Window {
  private readonly process: ProgramProcess;
  private readonly records: Unanswered[] = [];
  private bytes = 0;
  private closed = false;
  private onRoom: (() => void) | null = null;

  constructor(process: ProgramProcess) {
    this.process = process;
  }

  get count(): number {
    return this.records.length;
  }

  get oldest(): Unanswered | null {
    return this.records[0] ?? null;
  }

  get isFull(): boolean {
    return this.isBeyond(1);
  }

  add(entry: Unanswered): void {
    this.records.push(entry);
    this.bytes += bytesOf(entry.record);
  }

  answered(): void {
    const entry = this.records.shift();
    if (entry !== undefined) this.bytes -= bytesOf(entry.record);
    if (!this.isBeyond(0.5)) this.wake();
  }

  /** False: nothing is answered any more. */
  async room(): Promise<boolean> {
    if (this.isFull && !this.closed) {
      const room = new Promise<void>((resolve) => {
        this.onRoom = resolve;
      });
      await this.process.waitingFor(room);
    }
    return !this.closed;
  }

  close(): void {
    this.closed = true;
    this.wake();
  }

  private isBeyond(share: number): boolean {
    return this.count > 0 && (this.count >= unansweredMax * share || this.bytes >= unansweredBytesMax * share);
  }

  private wake(): void {
    this.onRoom?.();
    this.onRoom = null;
  }
}

const bytesOf = ({ key, value }: Pick<Moving, 'key' | 'value'>): number => key.length + value.length;

async function feed(
  process: ProgramProcess,
  pages: AsyncIterable<readonly ProgramInput[]>,
  window: Window,
  migration: string,
): Promise<void> {
  if (!(await process.write(`${JSON.stringify({ ...hello, migration })}\n`))) return;
  let id = 0;
  for await (const page of pages) {
    let text = '';
    for (const record of page) {
      if (record.kind !== 'record') continue;
      id += 1;
      if (window.isFull) {
        // What is waited for has to be on its way.
        if (!(await process.write(text)) || !(await window.room())) return;
        text = '';
      }
      window.add({ id, record });
      text += `${recordLine(id, record)}\n`;
    }
    if (text !== '' && !(await process.write(text))) return;
  }
  process.endInput();
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function recordLine(id: number, { key, value, expiresAtMs }: ProgramRecord): string {
  const expiresAt = expiresAtMs === null ? null : instantText(expiresAtMs);
  return JSON.stringify({ id, key: keyJson(key), value: bytesJson(value), expiresAt });
}

function keyJson(key: Key): object {
  const text = keyToText(key);
  return text === null ? { base64: Buffer.from(key, 'latin1').toString('base64') } : { text };
}

function bytesJson(bytes: Uint8Array): object {
  try {
    return { text: decoder.decode(bytes) };
  } catch {
    return { base64: Buffer.from(bytes).toString('base64') }; // fatal decoding is the test
  }
}

interface Line {
  readonly number: number;
  readonly text: string;
}

class Lines {
  private readonly process: ProgramProcess;
  private pieces: Buffer[] = [];
  private gathered = 0;
  private count = 0;

  constructor(process: ProgramProcess) {
    this.process = process;
  }

  *take(piece: Buffer): Generator<Line> {
    let start = 0;
    for (let end = piece.indexOf(0x0a); end >= 0; end = piece.indexOf(0x0a, start)) {
      this.pieces.push(piece.subarray(start, end));
      start = end + 1;
      yield this.line();
    }
    this.pieces.push(piece.subarray(start));
    this.gathered += piece.length - start;
    if (this.gathered > lineBytesMax) throw this.invalid(`the line is longer than ${lineBytesMax} bytes`);
  }

  /** Call at the end of the output: a last line without its end may have been cut off. */
  end(): void {
    if (this.pieces.some(({ length }) => length > 0)) throw this.invalid('the line does not end');
  }

  private line(): Line {
    const bytes = Buffer.concat(this.pieces);
    this.pieces = [];
    this.gathered = 0;
    try {
      const text = decoder.decode(bytes);
      this.count += 1;
      return { number: this.count, text };
    } catch {
      throw this.invalid('the line is not UTF-8');
    }
  }

  private invalid(detail: string): Error {
    return this.process.invalid(`line ${this.count + 1}`, detail);
  }
}

function assertHello(process: ProgramProcess, line: Line): void {
  const read = objectOf(process, line);
  if (read['keyferry'] === hello.keyferry && read['version'] === protocolVersion) return;
  const words = JSON.stringify(hello);
  throw process.invalid(
    `line ${line.number}`,
    `the first line says which protocol it speaks, and ${words} is expected`,
  );
}

function readAnswer(process: ProgramProcess, line: Line, oldest: Unanswered | null): ProgramAnswer {
  const invalid = (detail: string): Error => process.invalid(`line ${line.number}`, detail);
  if (oldest === null) throw invalid('it is an answer too many: every record that was sent has one');
  const { record } = oldest;
  const of: ProgramOrigin = { sourceKey: record.sourceKey, version: record.version, bytes: bytesOf(record) };
  const { id, ...answer } = objectOf(process, line);
  if (id !== oldest.id) throw invalid(`it has the id ${JSON.stringify(id)}, and the answer to ${oldest.id} is due`);
  const [kind, ...more] = Object.keys(answer);
  if (kind === undefined || more.length > 0) throw invalid('one of records, drop, error is expected besides the id');
  const content = answer[kind];
  switch (kind) {
    case 'drop':
      if (content !== true) throw invalid('drop is not true');
      return { kind: 'dropped', of };
    case 'error':
      if (typeof content !== 'string' || content === '') throw invalid('error is not a text');
      return { kind: 'failed', of, detail: `the program says: ${escapeControls(content)}` };
    case 'records':
      if (!Array.isArray(content) || content.length === 0) {
        throw invalid('records is not a list of one or more; to leave a record out, say drop');
      }
      return { kind: 'kept', of, records: content.map((each: unknown) => readRecord(each, record, invalid)) };
    default:
      throw invalid(`it has ${JSON.stringify(kind)}, which is not records, drop or error`);
  }
}

/** What an answer does not name stays as it was. */
function readRecord(read: unknown, given: Moving, invalid: (detail: string) => Error): Moving {
  if (typeof read !== 'object' || read === null || Array.isArray(read)) throw invalid('a record is not an object');
  const { key, value, expiresAt, ...rest } = read as Readonly<Record<string, unknown>>;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined)
    throw invalid(`a record has ${JSON.stringify(unknown)}, which is not key, value, expiresAt`);
  return {
    key: key === undefined ? given.key : readKey(key, invalid),
    value: value === undefined ? given.value : readBytes(value, 'value', invalid),
    expiresAtMs: expiresAt === undefined ? given.expiresAtMs : readInstant(expiresAt, invalid),
  };
}

function readKey(read: unknown, invalid: (detail: string) => Error): Key {
  const text = textIn(read);
  return text !== null && text.isWellFormed() ? keyFromText(text) : keyFromBytes(readBytes(read, 'key', invalid));
}

function textIn(read: unknown): string | null {
  if (typeof read !== 'object' || read === null || Object.keys(read).length !== 1) return null;
  const { text } = read as { readonly text?: unknown };
  return typeof text === 'string' ? text : null;
}

const base64Text = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function readBytes(read: unknown, what: string, invalid: (detail: string) => Error): Uint8Array {
  const text = textIn(read);
  if (text !== null && text.isWellFormed()) return Buffer.from(text, 'utf8');
  const base64 =
    text === null && typeof read === 'object' && read !== null ? (read as { base64?: unknown }).base64 : null;
  const isOnly = typeof read === 'object' && read !== null && Object.keys(read).length === 1;
  if (!isOnly || typeof base64 !== 'string' || !base64Text.test(base64)) {
    throw invalid(`${what} is neither { "text": … } nor { "base64": … }`);
  }
  return Buffer.from(base64, 'base64');
}

const instantShape = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

function readInstant(read: unknown, invalid: (detail: string) => Error): number | null {
  if (read === null) return null;
  const atMs = typeof read === 'string' && instantShape.test(read) ? Date.parse(read) : Number.NaN;
  if (Number.isNaN(atMs)) throw invalid('expiresAt is neither null nor an instant such as 2030-01-31T12:00:00.000Z');
  return atMs;
}

function objectOf(process: ProgramProcess, { number, text }: Line): Readonly<Record<string, unknown>> {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    throw process.invalid(`line ${number}`, 'it is no JSON'); // the text itself may be a value, which errors do not hold
  }
  if (typeof read === 'object' && read !== null && !Array.isArray(read)) return read as Record<string, unknown>;
  throw process.invalid(`line ${number}`, 'it is no JSON object');
}
