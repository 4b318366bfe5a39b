/**
 * What a client gets whose write is refused: 405, in the words of the API that it called, so that its library reports a
 * message and not an answer that it cannot read.
 *
 * v2 and ccompat share `error_code` and `message` (their clients ignore nothing else, so there is nothing else but v2's own
 * `detail` and `name`); v3 has problem details. Both are ASCII without apostrophes: they stand in quotes of two languages.
 */
import { trafficPhaseHeader } from '@keyferry/core';

const sentence = 'The registry is being migrated and refuses writes for now; reads go on. Try again later.';

export const refusalBody = JSON.stringify({
  error_code: 405,
  message: sentence,
  detail: sentence,
  name: 'RegistryFrozen',
});

export const refusalBodyV3 = JSON.stringify({
  status: 405,
  title: sentence,
  detail: sentence,
  name: 'RegistryFrozen',
});

/** Paths that get the second body. */
export const v3Path = '^/apis/registry/v3(/|$)';

/** Says that the balancer itself refused: registries answer 405 too, where deletes are off. */
export const refusedHeader = 'keyferry-refused';
export const phaseHeader = trafficPhaseHeader;
export const allowed = 'GET, HEAD, OPTIONS';
/** Seconds; no promise, a pace. */
export const retryAfter = '60';
