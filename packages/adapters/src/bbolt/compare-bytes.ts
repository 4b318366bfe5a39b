/** Below, at or above zero: as one run of bytes is before, the same as, behind another. For short ones a call of the platform's costs more. */
export function compareBytes(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  const length = Math.min(aEnd - aStart, bEnd - bStart);
  for (let i = 0; i < length; i += 1) {
    const order = (a[aStart + i] as number) - (b[bStart + i] as number);
    if (order !== 0) return order;
  }
  return aEnd - aStart - (bEnd - bStart);
}
