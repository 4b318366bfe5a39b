/** The machine itself, behind the ports that the engine takes time and randomness from. */
export { systemClock } from './system-clock.ts';
export { systemRandom } from './system-random.ts';
export { keyferryVersion } from './keyferry-version.ts';
