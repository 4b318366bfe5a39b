/** bbolt files in memory, for tests: made of entries, opened from bytes. */
import type { ByteSource } from '../src/bbolt/page-reader.ts';
import { BoltReader, type Direction } from '../src/bbolt/reader.ts';
import { BoltWriter, metaPages } from '../src/bbolt/writer.ts';

export type Entries = readonly (readonly [key: Buffer, value: Buffer])[];

export function fileOf(buckets: Readonly<Record<string, Entries>>): Buffer {
  const pieces: Buffer[] = [];
  const writer = new BoltWriter({ write: (bytes) => pieces.push(Buffer.from(bytes)) });
  for (const [name, entries] of Object.entries(buckets)) {
    const bucket = writer.bucket(name);
    for (const [key, value] of entries) bucket.put(key, value);
    bucket.end();
  }
  return Buffer.concat([metaPages(writer.finish()), ...pieces]);
}

export function bytesOf(file: Buffer): ByteSource {
  return { size: file.length, read: (into, offset) => file.copy(into, 0, offset) };
}

export const openBytes = (file: Buffer): BoltReader => BoltReader.open(bytesOf(file));

export function entriesOf(reader: BoltReader, name: string, direction: Direction): Entries {
  const bucket = reader.buckets().get(name);
  if (bucket === undefined) throw new TypeError(`there is no bucket ${name}`);
  const entries: (readonly [Buffer, Buffer])[] = [];
  for (const leaf of reader.leaves(bucket, direction)) {
    const ofLeaf = Array.from({ length: leaf.count }, (_, i) => {
      const { bytes, keyStart, keyEnd, valueEnd } = leaf.entry(i);
      return [Buffer.from(bytes.subarray(keyStart, keyEnd)), Buffer.from(bytes.subarray(keyEnd, valueEnd))] as const;
    });
    entries.push(...(direction === 'forwards' ? ofLeaf : ofLeaf.toReversed()));
  }
  return entries;
}
