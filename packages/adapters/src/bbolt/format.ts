/**
 * bbolt's file format, as far as both the reader and the writer need it: sizes, flags, the meta page. README.md has the
 * whole of it in pictures. Source: bbolt v1.3 `page.go`, `db.go`, `bucket.go`, `freelist.go`.
 */
export const pageHeaderBytes = 16;
export const elementBytes = 16;
/** Root page and sequence, before what a bucket holds inline. */
export const bucketHeaderBytes = 16;
export const metaBytes = 64;

export const pageFlags = { branch: 0x01, leaf: 0x02, meta: 0x04, freelist: 0x10 } as const;
export const bucketElementFlag = 0x01;

/** What is written; the reader takes what the meta page says. */
export const writtenPageBytes = 4096;
/** The first two pages are metas. */
export const firstPage = 2;

export interface Meta {
  readonly pageBytes: number;
  /** Page of the bucket of buckets. */
  readonly root: number;
  /** The first page id that is not in use: how many pages the file has. */
  readonly highWater: number;
  readonly transaction: number;
}

const magic = 0xed0cdaed;
const version = 2;
/** bbolt then finds the free pages by itself when it opens the file; etcd writes it so. */
const noFreelist = 0xffff_ffff_ffff_ffffn;
const checksumAt = 56;

/** At the start of a meta page's content, behind its header. */
export function writeMeta(bytes: Buffer, at: number, { pageBytes, root, highWater, transaction }: Meta): void {
  bytes.fill(0, at, at + metaBytes);
  bytes.writeUInt32LE(magic, at);
  bytes.writeUInt32LE(version, at + 4);
  bytes.writeUInt32LE(pageBytes, at + 8);
  bytes.writeBigUInt64LE(BigInt(root), at + 16);
  bytes.writeBigUInt64LE(noFreelist, at + 32);
  bytes.writeBigUInt64LE(BigInt(highWater), at + 40);
  bytes.writeBigUInt64LE(BigInt(transaction), at + 48);
  bytes.writeBigUInt64LE(fnv1a64(bytes.subarray(at, at + checksumAt)), at + checksumAt);
}

/** The meta, or what is wrong with it, as the remainder of a sentence. */
export function readMeta(bytes: Buffer, at: number): Meta | string {
  if (bytes.length < at + metaBytes) return 'it is cut off';
  if (bytes.readUInt32LE(at) !== magic) return 'it does not begin as one of bbolt';
  const found = bytes.readUInt32LE(at + 4);
  if (found !== version) return `it is of format ${found}, and ${version} is known`;
  if (bytes.readBigUInt64LE(at + checksumAt) !== fnv1a64(bytes.subarray(at, at + checksumAt)))
    return 'its checksum does not match';
  const pageBytes = bytes.readUInt32LE(at + 8);
  if (pageBytes < 512 || pageBytes > 65_536 || (pageBytes & (pageBytes - 1)) !== 0)
    return `it says that pages have ${pageBytes} bytes`;
  const [root, highWater, transaction] = [16, 40, 48].map((field) => Number(bytes.readBigUInt64LE(at + field)));
  return { pageBytes, root: root as number, highWater: highWater as number, transaction: transaction as number };
}

/** FNV-1a of 64 bits. Over 56 bytes, twice a file: bigints will do. */
export function fnv1a64(bytes: Uint8Array): bigint {
  let hash = 0xcbf2_9ce4_8422_2325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100_0000_01b3n);
  return hash;
}
