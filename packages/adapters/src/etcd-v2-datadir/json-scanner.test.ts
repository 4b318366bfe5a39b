/**
 * Goal: the events of a JSON text are its content, wherever its pieces end, and what is no JSON is never taken for some.
 * Method: a value is put together from the events and compared with JSON.parse; texts with one byte changed.
 */
import * as fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { JsonScanner, type JsonEvents } from './json-scanner.ts';
import { Malformed } from './protobuf.ts';

// Thousands of damaged inputs: seconds on a machine that is idle, many times that on one that is not.
vi.setConfig({ testTimeout: 120_000 });

describe('JsonScanner', () => {
  it('law: says what JSON.parse says, in pieces of any length', () =>
    fc.assert(
      fc.property(
        fc.jsonValue({ stringUnit: 'binary' }),
        fc.integer({ min: 1, max: 9 }),
        fc.boolean(),
        (value, size, spaced) => {
          const text = JSON.stringify(value, null, spaced ? 1 : 0);
          expect(parsed(Buffer.from(text), size)).toEqual(JSON.parse(text));
        },
      ),
      { numRuns: 40 },
    ));

  it('decodes escapes, also where a piece ends within one', () => {
    const text = String.raw`{"a\u003c\"":["\\","\\\\\"","\u00fc\ud83d\ude00\n",""]}`;
    for (let size = 1; size < 12; size += 1) {
      expect(parsed(Buffer.from(text), size)).toEqual({ 'a<"': ['\\', '\\\\"', 'ü😀\n', ''] });
    }
  });

  it.each([
    '',
    ' ',
    '{',
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    '[1,]',
    '[1 2]',
    '{"a":1}}',
    '1 2',
    '01',
    'nul',
    '"a',
    '{1:2}',
    '"\\x"',
    ']',
  ])('refuses %j', (text) => expect(() => parsed(Buffer.from(text), 3)).toThrow(Malformed));

  it('law: one byte changed gives what JSON.parse gives, or is refused', () =>
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(), fc.integer({ min: 1, max: 127 }), (value, at, byte) => {
        const bytes = Buffer.from(JSON.stringify(value));
        bytes[at % bytes.length] = byte;
        let want: unknown;
        try {
          want = JSON.parse(bytes.toString());
        } catch {
          want = Malformed;
        }
        let got: unknown;
        try {
          got = parsed(bytes, 5);
        } catch (error) {
          got = error instanceof Malformed ? Malformed : error;
        }
        // Unlike JSON.parse it lets control characters stand in strings; the checksum has vouched for the bytes.
        const isControl = want === Malformed && byte < 0x20;
        expect(isControl ? want : got).toEqual(want);
      }),
    ));
});

function parsed(bytes: Buffer, size: number): unknown {
  const builder = new Builder();
  const scanner = new JsonScanner(builder);
  for (let at = 0; at < bytes.length; at += size) scanner.write(Buffer.from(bytes.subarray(at, at + size)));
  scanner.end();
  return builder.result;
}

/** Puts the value together again. */
class Builder implements JsonEvents {
  readonly skipsStrings = false;
  result: unknown;
  private readonly unfinished: (Map<string, unknown> | unknown[])[] = [];
  private readonly names: string[] = [];

  open(kind: 'object' | 'array'): void {
    this.unfinished.push(kind === 'object' ? new Map() : []);
    this.names.push('');
  }

  close(): void {
    const done = this.unfinished.pop();
    this.names.pop();
    this.add(done instanceof Map ? Object.fromEntries(done) : done);
  }

  name(name: string): void {
    this.names[this.names.length - 1] = text(name);
  }

  string(value: string): void {
    this.add(text(value));
  }

  literal(written: string): void {
    this.add(JSON.parse(written));
  }

  private add(value: unknown): void {
    const parent = this.unfinished.at(-1);
    if (parent === undefined) this.result = value;
    else if (parent instanceof Map) parent.set(this.names.at(-1) ?? '', value);
    else parent.push(value);
  }
}

const text = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('utf8');
