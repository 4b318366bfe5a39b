/** Where tails and cutovers stand, for status: from the state alone. */
import { instantText, tailIsHeld, type CutoverState, type TailState } from '@keyferry/core';
import type { Palette } from '../../terminal/palette.ts';
import { keyText, textForDisplay } from '../layout/keys.ts';
import { counted, countText, durationText } from '../layout/numbers.ts';
import { missingText } from '../online/instances.ts';
import { lagText, tailCountsText } from './wording.ts';

export function tailFacts(tail: TailState, nowMs: number, palette: Palette): readonly (readonly [string, string])[] {
  const { tail: name, counts, lag, generation, differs, refused, refusedTotal } = tail;
  const ago = agoText(tail.changedAtMs, nowMs);
  const standing = tailIsHeld(tail, nowMs)
    ? `at work, said so ${ago}`
    : palette.caution(`nobody carries changes; last seen ${ago}`);
  const facts: (readonly [string, string])[] = [
    [name, `${tailCountsText(counts)}; ${standing}`],
    ['lag', lag === null ? 'not measured yet' : `${lagText(lag)}, when it was seen`],
  ];
  if (generation !== null) {
    const since = agoText(generation.atMs, nowMs);
    facts.push([
      'proven',
      `generation ${countText(generation.number)}, ${since}: ${counted(generation.records, 'record')} equal, up to position ${generation.position}`,
    ]);
  }
  if (differs) {
    const [first] = differs.named;
    const which = first === undefined ? '' : `: ${keyText(first.key)}, ${first.what}`;
    const [from, to] = name === 'forward' ? ['source', 'target'] : ['target', 'source'];
    facts.push(
      ['differ', palette.bad(`${counted(differs.total, 'record')}, as of ${agoText(differs.atMs, nowMs)}${which}`)],
      [
        '',
        `nothing that moves settles it: make the ${to} right by hand, or change it in the ${from}, which is carried`,
      ],
    );
  }
  if (refusedTotal > 0) {
    const [first] = refused;
    const which = first === undefined ? '' : `: ${keyText(first.key)}, ${textForDisplay(first.reason)}`;
    facts.push(['refused', palette.bad(`${counted(refusedTotal, 'record')} cannot be carried${which}`)]);
  }
  return facts;
}

const agoText = (atMs: number, nowMs: number): string => `${durationText(Math.max(0, nowMs - atMs))} ago`;

export function cutoverText(cutover: CutoverState): string {
  const { to, outcome, undoneWhy, heldAtMs, endedAtMs, compared, missing = [] } = cutover;
  const where = `to the ${to}`;
  if (outcome === 'under-way') return `${where}, begun and not ended: writes may be held`;
  const held = heldAtMs === null || endedAtMs === null ? '' : `, writes held for ${durationText(endedAtMs - heldAtMs)}`;
  const who = missing.length === 0 ? '' : `; ${missingText(missing, 0)}`;
  if (outcome === 'undone') return `${where}, undone (${undoneWhy ?? ''})${held}${who}`;
  return `${where}${held}, ${counted(compared, 'record')} compared in it`;
}

export function tailJson(tail: TailState) {
  const { tail: name, run, position, lag, counts, refused, refusedTotal, generation, differs } = tail;
  return {
    tail: name,
    run,
    position,
    lag,
    counts,
    refused,
    refusedTotal,
    generation: generation === null ? null : generationJson(generation),
    differences: differs?.named ?? [],
    differencesTotal: differs?.total ?? 0,
    leaseEndsAt: instantText(tail.leaseEndsAtMs),
    changedAt: instantText(tail.changedAtMs),
  };
}

export function generationJson(generation: NonNullable<TailState['generation']>) {
  const { number, position, atMs, records, settledLater, settledAfterMsMax, digest } = generation;
  return { number, position, at: instantText(atMs), records, settledLater, settledAfterMsMax, digest };
}

export function cutoverJson(cutover: CutoverState) {
  const { to, outcome, undoneWhy, run, epoch, heldAtMs, endedAtMs, compared, proof, missing } = cutover;
  return {
    to,
    outcome,
    undoneWhy,
    run,
    epoch,
    heldAt: heldAtMs === null ? null : instantText(heldAtMs),
    endedAt: endedAtMs === null ? null : instantText(endedAtMs),
    compared,
    proof: proof ?? 'silence',
    missing: (missing ?? []).map(({ instance, why }) => ({ instance, why })),
  };
}
