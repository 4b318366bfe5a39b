/** Goal: the earliest is on top, whatever came and went. Method: a law over pushes, removals and pops, against a list. */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { TtlHeap, type Expiring } from './ttl-heap.ts';

it('law: the top is the earliest of those that are in it', () => {
  const step = fc.oneof(
    fc.record({ push: fc.nat(20) }),
    fc.record({ remove: fc.nat(30) }),
    fc.constant({ pop: true } as const),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const heap = new TtlHeap<Expiring>();
      let inside: Expiring[] = [];
      const gone: Expiring[] = [];
      for (const each of steps) {
        if ('push' in each) {
          const node = { expiresAtNs: BigInt(each.push), heapIndex: -1 };
          heap.push(node);
          inside.push(node);
        } else {
          const node = 'pop' in each ? heap.top() : (inside[each.remove % Math.max(1, inside.length)] ?? gone[0]);
          if (node === undefined) continue;
          if ('pop' in each) heap.pop();
          else heap.remove(node);
          inside = inside.filter((other) => other !== node);
          gone.push(node);
        }
        expect(heap.size).toBe(inside.length);
        expect(gone.every(({ heapIndex }) => heapIndex === -1)).toBe(true);
        const earliest = inside.reduce<bigint | null>(
          (min, { expiresAtNs }) => (min === null || (expiresAtNs ?? 0n) < min ? expiresAtNs : min),
          null,
        );
        expect(heap.top()?.expiresAtNs ?? null).toBe(earliest);
      }
    }),
  );
});
