/**
 * Goal: what is put into the state comes out of it again, whatever the sizes, and no item is over its limit.
 * Method: laws over generated images and limits; then pieces that are missing, as a kill leaves them.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Restoration } from './before-image.ts';
import { ImageReader, packImages, type ImagePiece } from './image-pieces.ts';
import { keyFromBytes } from './key.ts';
import type { Version } from './record.ts';

const anyRestoration = fc
  .record({
    undo: fc.constantFrom('overwrite' as const, 'delete' as const),
    key: fc.uint8Array({ maxLength: 20 }).map(keyFromBytes),
    value: fc.uint8Array({ maxLength: 3000 }),
    version: fc.nat().map((revision) => String(revision) as Version),
    expiresAtMs: fc.option(fc.nat()),
    origin: fc.constantFrom('foreign' as const, 'created' as const, 'overwritten' as const),
  })
  .map(({ undo, ...image }): Restoration => ({ undo, image }));
const anyRestorations = fc.uniqueArray(anyRestoration, { selector: ({ image }) => image.key, maxLength: 20 });

function unpack(items: readonly (readonly ImagePiece[])[]): readonly Restoration[] {
  const reader = new ImageReader();
  return items.flatMap((pieces) => reader.take(pieces));
}

describe('packed images', () => {
  it('law: come out as they went in, through JSON, and keep to the limit of an item', () =>
    fc.assert(
      fc.property(anyRestorations, fc.integer({ min: 300, max: 6000 }), (restorations, itemBytesMax) => {
        const items = packImages(restorations, itemBytesMax);
        for (const item of items) {
          expect(item.length).toBeGreaterThan(0);
          expect(JSON.stringify(item).length).toBeLessThanOrEqual(itemBytesMax + 60);
        }
        expect(unpack(JSON.parse(JSON.stringify(items)) as typeof items)).toEqual(restorations);
      }),
    ));

  it('of a value larger than an item are spread over several', () => {
    const image = { key: keyFromBytes(new Uint8Array([1])), version: '1' as Version, expiresAtMs: null };
    const large: Restoration = {
      undo: 'overwrite',
      image: { ...image, value: new Uint8Array(1_500_000).fill(7), origin: 'foreign' },
    };
    const items = packImages([large]);
    expect(items.length).toBeGreaterThan(7);
    expect(unpack(items)).toEqual([large]);
  });

  it('law: what has no end, or no beginning, is passed over, and what follows is whole', () =>
    fc.assert(
      fc.property(anyRestorations, anyRestorations, fc.nat(), (torn, whole, at) => {
        const items = packImages(torn, 600);
        const cut = items.slice(0, items.length === 0 ? 0 : at % items.length);
        const found = unpack([...cut, ...packImages(whole, 600)]);
        expect(found.slice(found.length - whole.length)).toEqual(whole);
        expect(torn.slice(0, found.length - whole.length)).toEqual(found.slice(0, found.length - whole.length));
        expect(() => unpack(items.slice(1))).not.toThrow();
      }),
    ));
});
