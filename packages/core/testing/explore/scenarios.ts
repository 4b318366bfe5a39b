/** The courses that a migration can take, and who works meanwhile. */
import type { Scenario } from './explore.ts';

type Course = Pick<Scenario, 'goals' | 'lastAtAnyTime'>;

/** To the end. */
export const forward: Course = { goals: ['apply', 'cutover', 'finalize'], lastAtAnyTime: false };

/** Back from wherever it stands. */
export const back: Course & Pick<Scenario, 'tail'> = {
  goals: ['apply', 'cutover', 'rollback'],
  lastAtAnyTime: true,
  tail: true,
};

/** Back, and then forward a second time. */
export const again: Course & Pick<Scenario, 'tail'> = {
  goals: ['apply', 'rollback', 'apply', 'cutover', 'finalize'],
  lastAtAnyTime: false,
  tail: true,
};
