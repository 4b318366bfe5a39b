/**
 * Refusal: what is remembered of a plan that nobody could apply, so that a command that is told the same again and again,
 * as by whatever restarts it, answers at once instead of reading a store whole to say the same.
 *
 * It is no verdict but where to look first: a case of each finding that single records show, or the source itself. Whoever
 * comes next looks at these alone, in both stores as they are by then, and refuses only if one of them is still so; for as
 * long as one is, no plan can be applied, whatever else changed. What the whole of a store has to say (conflicts,
 * members that are apart) is not remembered.
 */
import type { KeyJson } from '../model/key.ts';
import type { Finding, FindingCode } from './finding.ts';
import type { PlanDocument } from './plan.ts';

export interface Refusal {
  readonly plan: string;
  readonly createdAt: string;
  /** It is forgotten then, as the plan would be: all findings are worth being told anew once in a while. */
  readonly expiresAt: string;
  readonly keyferryVersion: string;
  readonly configDigest: string;
  readonly rulesDigest: string;
  /** All that blocked it. */
  readonly findings: readonly string[];
  /** One at least. */
  readonly cases: readonly RefusalCase[];
}

/** What one look tells to be as it was. */
export interface RefusalCase {
  readonly code: RefusableCode;
  /** The records that it is about: all that are needed to show it again. None: the source as a whole. */
  readonly sourceKeys: readonly KeyJson[];
}

const refusableCodes = [
  'source.never-used',
  'rule.failed',
  'key.collision',
  'key.empty',
  'key.reserved',
  'key.outside-prefix',
  'value.too-large',
  'record.unfit',
] as const satisfies readonly FindingCode[];

export type RefusableCode = (typeof refusableCodes)[number];

/** Two records are enough to be in each other's way. */
const collidingMax = 2;

/** Null: nothing less than another plan can tell whether it would be refused again. */
export function refusalOf(plan: PlanDocument): Refusal | null {
  const blocking = plan.findings.filter(({ level }) => level === 'blocking');
  const cases = blocking.flatMap((finding) => caseOf(finding) ?? []);
  if (cases.length === 0) return null;
  const { createdAt, expiresAt, keyferryVersion, configDigest, rulesDigest } = plan;
  const findings = [...new Set(blocking.map(({ code }) => code))];
  return { plan: plan.plan, createdAt, expiresAt, keyferryVersion, configDigest, rulesDigest, findings, cases };
}

function caseOf({ code: found, cases, sourceKeys = [] }: Finding): RefusalCase | null {
  const code = refusableCodes.find((each) => each === found);
  if (code === undefined) return null;
  if (code === 'source.never-used') return { code, sourceKeys: [] };
  const keys = (cases?.[0]?.sourceKeys ?? sourceKeys).slice(0, code === 'key.collision' ? collidingMax : 1);
  return keys.length === 0 ? null : { code, sourceKeys: keys };
}
