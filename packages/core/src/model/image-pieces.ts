/**
 * Before-images on their way into the state and back: plain JSON, in items that stay under a limit.
 *
 *     images ──packImages──► items of pieces ──ImageReader──► images
 *
 * A backend of the state may hold no more than some hundred KiB in an item, and a value may be larger than that. So a
 * value is cut into pieces, over as many items as it takes, and joined again from those that follow one another. Pieces
 * without an end are of a batch whose images were never all written, so that its changes were never made: they are passed
 * over. Pure.
 */
import type { RecordOrigin, Restoration } from './before-image.ts';
import { keyFromBytes, keyFromJson, keyToBytes, keyToJson, type Key, type KeyJson } from './key.ts';
import type { Version } from './record.ts';

/** A before-image, or a part of one. */
export interface ImagePiece {
  readonly undo: Restoration['undo'];
  readonly key: KeyJson;
  readonly version: string;
  readonly origin: RecordOrigin;
  readonly expiresAtMs: number | null;
  /** Base64. */
  readonly value: string;
  /** Where in the value this part begins. */
  readonly from: number;
  /** The value goes on in the next piece. */
  readonly goesOn: boolean;
}

/** Bytes of an item's JSON, about; DynamoDB takes 400 KiB. A key counts in full, so an item of a very long one is larger. */
export const imageItemBytesMax = 200 * 1024;

/** Names, braces and numbers of a piece. */
const pieceOverhead = 200;

/** Items of pieces, in order; each holds one piece at least. */
export function packImages(
  restorations: readonly Restoration[],
  itemBytesMax = imageItemBytesMax,
): readonly (readonly ImagePiece[])[] {
  const items: ImagePiece[][] = [];
  let item: ImagePiece[] = [];
  let left = itemBytesMax;
  const close = (): void => {
    items.push(item);
    [item, left] = [[], itemBytesMax];
  };
  for (const { undo, image } of restorations) {
    const { key, value, version, origin, expiresAtMs } = image;
    const overhead = pieceOverhead + 2 * key.length;
    let from = 0;
    do {
      // Four characters of base64 hold three bytes. A key that leaves no room still gets on by one step an item.
      if (item.length > 0 && left < overhead + 4 * Math.min(1, value.length - from)) close();
      const room = Math.max(1, Math.floor((left - overhead) / 4)) * 3;
      const part = value.subarray(from, from + room);
      const goesOn = from + part.length < value.length;
      item.push({
        undo,
        key: keyToJson(key),
        version,
        origin,
        expiresAtMs,
        value: btoa(keyFromBytes(part)),
        from,
        goesOn,
      });
      left -= overhead + Math.ceil(part.length / 3) * 4;
      from += part.length;
      if (goesOn) close();
    } while (from < value.length);
  }
  if (item.length > 0) close();
  return items;
}

/** Joins pieces, handed over in the order in which they were packed; several batches may follow one another. */
export class ImageReader {
  private parts: Uint8Array[] = [];
  private bytes = 0;
  private open: ImagePiece | null = null;

  /** No image is half read: what was taken so far may be forgotten. */
  get isBetweenImages(): boolean {
    return this.open === null;
  }

  /** The images that end in these pieces. */
  take(pieces: readonly ImagePiece[]): readonly Restoration[] {
    const whole: Restoration[] = [];
    for (const piece of pieces) {
      if (!this.continues(piece)) this.start(piece);
      if (piece.from !== this.bytes) {
        this.open = null; // the rest of one whose beginning is not there
        continue;
      }
      const part = keyToBytes(atob(piece.value) as Key);
      this.parts.push(part);
      this.bytes += part.length;
      if (piece.goesOn) continue;
      whole.push(this.join(piece));
      this.open = null;
    }
    return whole;
  }

  private continues(piece: ImagePiece): boolean {
    const { open } = this;
    if (open === null || piece.from !== this.bytes) return false;
    return open.version === piece.version && keyFromJson(open.key) === keyFromJson(piece.key);
  }

  private start(piece: ImagePiece): void {
    [this.open, this.parts, this.bytes] = [piece, [], 0];
  }

  private join({ undo, key, version, origin, expiresAtMs }: ImagePiece): Restoration {
    const value = new Uint8Array(this.bytes);
    let at = 0;
    for (const part of this.parts) {
      value.set(part, at);
      at += part.length;
    }
    return { undo, image: { key: keyFromJson(key), value, version: version as Version, expiresAtMs, origin } };
  }
}
