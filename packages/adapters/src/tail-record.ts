/** What stores that hold texts remember of a tail, as one text. */
import { fenceFromText, fenceToText, type Fence, type Position, type TailRecord } from '@keyferry/core';

export interface HeldTail extends TailRecord {
  /** Counts the writes of the owner, so that one whose answer was lost knows its own. */
  readonly sequence: number;
}

export function tailToText({ fence, position, sequence }: HeldTail): string {
  return JSON.stringify({ format: 1, fence: fenceToText(fence), sequence, position });
}

/** Null: the text is none of ours. */
export function tailFromText(text: string): HeldTail | null {
  try {
    const { format, fence, sequence, position } = JSON.parse(text) as Partial<Record<string, unknown>>;
    const held: Fence | null = typeof fence === 'string' ? fenceFromText(fence) : null;
    const isPosition = position === null || typeof position === 'string';
    if (format !== 1 || held === null || !Number.isSafeInteger(sequence) || !isPosition) return null;
    return { fence: held, sequence: sequence as number, position: position as Position | null };
  } catch {
    return null;
  }
}
