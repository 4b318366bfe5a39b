/** What is in a zip file, by the directory at its end, for tests that look for what must not be in a plan file. */
import { inflateRawSync } from 'node:zlib';

const endOfDirectory = 0x06054b50;
const stored = 0;

export function zipContents(zip: Buffer): ReadonlyMap<string, Buffer> {
  let end = zip.length - 22;
  while (zip.readUInt32LE(end) !== endOfDirectory) end -= 1;
  const entries = new Map<string, Buffer>();
  let at = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left -= 1) {
    const [method, bytes] = [zip.readUInt16LE(at + 10), zip.readUInt32LE(at + 20)];
    const [name, extra, comment] = [at + 28, at + 30, at + 32].map((field) => zip.readUInt16LE(field)) as [
      number,
      number,
      number,
    ];
    const header = zip.readUInt32LE(at + 42);
    const start = header + 30 + zip.readUInt16LE(header + 26) + zip.readUInt16LE(header + 28);
    const content = zip.subarray(start, start + bytes);
    entries.set(zip.toString('utf8', at + 46, at + 46 + name), method === stored ? content : inflateRawSync(content));
    at += 46 + name + extra + comment;
  }
  return entries;
}
