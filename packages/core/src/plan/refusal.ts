/**
 * Refusal: what is remembered of a plan that nobody could apply, so that a command that is told the same again and again,
 * as by whatever restarts it, answers at once instead of reading a store whole to say the same.
 *
 * It holds while all that the plan went by is as it was: configuration, rules, keyferry, the source's position, and what
 * both stores are. So only findings count that follow from these alone; what lies in the target may change without a
 * word. One of them is enough: as long as it is there, the plan cannot be applied, whatever else changed.
 */
import type { StoreDescription } from '../ports/store.ts';
import type { FindingCode } from './finding.ts';
import type { PlanDocument } from './plan.ts';

export interface Refusal {
  readonly plan: string;
  readonly createdAt: string;
  /** It is forgotten then, as the plan would be. */
  readonly expiresAt: string;
  readonly keyferryVersion: string;
  readonly configDigest: string;
  readonly rulesDigest: string;
  readonly position: string;
  readonly source: WhichStore;
  readonly target: WhichStore;
  /** All that blocked it. */
  readonly findings: readonly string[];
}

export type WhichStore = Pick<StoreDescription, 'kind' | 'version' | 'identity'>;

export const whichStore = ({ kind, version, identity }: StoreDescription): WhichStore => ({ kind, version, identity });

const ofSourceAndSettings: ReadonlySet<FindingCode> = new Set([
  'source.never-used',
  'rule.failed',
  'key.collision',
  'key.empty',
  'key.reserved',
  'key.outside-prefix',
  'value.too-large',
  'record.unfit',
] satisfies FindingCode[]);

/** Null: the same plan made again might be applyable, though nothing that can be asked of the stores has moved. */
export function refusalOf(plan: PlanDocument): Refusal | null {
  const blocking = plan.findings.filter(({ level }) => level === 'blocking').map(({ code }) => code);
  if (!blocking.some((code) => ofSourceAndSettings.has(code))) return null;
  const { createdAt, expiresAt, keyferryVersion, configDigest, rulesDigest, source, target } = plan;
  return {
    plan: plan.plan,
    createdAt,
    expiresAt,
    keyferryVersion,
    configDigest,
    rulesDigest,
    position: source.position,
    source: whichStore(source.description),
    target: whichStore(target.description),
    findings: [...new Set(blocking)],
  };
}
