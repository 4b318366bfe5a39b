/**
 * The request that a log is nearly full of, a value for a key of the user's and nothing else, read where it lies.
 *
 *     id  "PUT"  path  value  │ and every other field as etcd writes it when nobody asked for anything
 *
 * Read field by field (request.ts) such a request costs an object, two strings and two dozen looks at what comes next, which is
 * most of the time in which a log is replayed. Whatever is not written to the byte as below is left to that. So a request
 * is either of this form beyond doubt or none at all: etcd writes every field in the order of their numbers, each once.
 *
 * Source: etcd 3.4 `etcdserver/etcdserverpb/etcdserver.pb.go`, Request.MarshalTo; the same in 2.x to 3.5.
 */
import { UsualFields } from './protobuf.ts';

const methodBytes = Buffer.from([0x12, 3, 0x50, 0x55, 0x54]);
/** Dir, PrevValue, PrevIndex, Expiration, Wait, Since, Recursive, Sorted, Quorum, Time, Stream: none of them. */
const restBytes = Buffer.from([
  0x28, 0, 0x32, 0, 0x38, 0, 0x48, 0, 0x50, 0, 0x58, 0, 0x60, 0, 0x68, 0, 0x70, 0, 0x78, 0, 0x80, 1, 0,
]);
const [slash, dot] = [0x2f, 0x2e];
/** The paths of the user's keys begin so. */
const usersPrefix = Buffer.from('/1/');
const idBytesMax = 10;

export class PlainPut {
  bytes: Buffer = methodBytes;
  /** Of the path, which is clean and below `/1`. */
  pathStart = 0;
  /** Of its last segment, which ends with the path. */
  nameStart = 0;
  pathEnd = 0;
  valueStart = 0;
  valueEnd = 0;
  private readonly fields = new UsualFields();

  /** @returns false: it is something else, or written in another way; what the fields say is nothing then */
  read(bytes: Buffer, start: number, end: number): boolean {
    this.bytes = bytes;
    if (bytes[start] !== 0x08) return false;
    let at = start + 1;
    while ((bytes[at] as number) >= 0x80) {
      at += 1;
      if (at > start + idBytesMax) return false;
    }
    at += 1;
    if (!isAt(bytes, at, methodBytes)) return false;
    const { fields } = this;
    fields.at = at + methodBytes.length;
    const pathLength = fields.number(bytes, end, 0x1a);
    if (pathLength < 0) return false;
    this.pathStart = fields.at;
    fields.at += pathLength;
    this.pathEnd = fields.at;
    const valueLength = fields.number(bytes, end, 0x22);
    if (valueLength < 0) return false;
    this.valueStart = fields.at;
    this.valueEnd = fields.at + valueLength;
    // Every field before is where it is said to be only if the rest ends where the request does.
    if (this.valueEnd + restBytes.length !== end) return false;
    return isAt(bytes, this.valueEnd, restBytes) && this.hasCleanPath();
  }

  /** Below `/1`, and nothing in it that `cleanPath` would take out or might: no segment is empty or begins with a dot. */
  private hasCleanPath(): boolean {
    const { bytes, pathStart, pathEnd } = this;
    if (!isAt(bytes, pathStart, usersPrefix)) return false;
    let name = pathStart + usersPrefix.length;
    for (let at = name; at < pathEnd; at += 1) {
      const byte = bytes[at];
      if (at === name && (byte === slash || byte === dot)) return false;
      if (byte === slash) name = at + 1;
    }
    this.nameStart = name;
    return name < pathEnd;
  }
}

function isAt(bytes: Buffer, at: number, wanted: Buffer): boolean {
  for (let i = 0; i < wanted.length; i += 1) if (bytes[at + i] !== wanted[i]) return false;
  return true;
}
