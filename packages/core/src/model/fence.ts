/**
 * Fence: (attempt, token), the pair that a target itself compares before it lets a worker write.
 *
 *     attempt  grows with each run of a migration that starts afresh, and is never used twice
 *     token    grows with each claim within the attempt
 *
 * There is one for each chunk, and one for the whole migration, the *epoch*: raising that one shuts out every worker
 * at once. Attempts are never reused, not even after the state was forgotten: a sleeper's token 1 would match the
 * second attempt's token 1 (online-protocol, Terms). So a claim takes one more than the larger of state and target.
 */
export interface Fence {
  readonly attempt: number;
  readonly token: number;
}

export function compareFences(a: Fence, b: Fence): number {
  return a.attempt - b.attempt || a.token - b.token;
}

const digits = 10;

/** Fixed width, so that a store that compares bytes orders fences as `compareFences` does. */
export function fenceToText(fence: Fence): string {
  return `${String(fence.attempt).padStart(digits, '0')}.${String(fence.token).padStart(digits, '0')}`;
}

/** Null when the text is not a fence: somebody else wrote there, and no one may guess what it meant. */
export function fenceFromText(text: string): Fence | null {
  const match = /^(\d{10})\.(\d{10})$/.exec(text);
  return match === null ? null : { attempt: Number(match[1]), token: Number(match[2]) };
}

/** The lowest token that is above both what the state remembers and what the target holds, within `attempt`. */
export function nextToken(attempt: number, remembered: number, inTarget: Fence | null): number {
  const targetToken = inTarget !== null && inTarget.attempt === attempt ? inTarget.token : 0;
  return Math.max(remembered, targetToken) + 1;
}
