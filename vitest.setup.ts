/**
 * Property tests draw the same values on every machine and day, so that a red run means a change, not chance. A search
 * for new counterexamples is a run of its own: `npm run test:random` draws anew, and prints the seed of what failed;
 * `KEYFERRY_PROPERTY_SEED=N` repeats it.
 */
import * as fc from 'fast-check';

const everyRunTheSame = 20_261_128;
const given = process.env['KEYFERRY_PROPERTY_SEED'];
const seed = given === undefined ? everyRunTheSame : given === 'random' ? Date.now() >>> 0 : Number(given);
if (!Number.isSafeInteger(seed)) throw new Error(`KEYFERRY_PROPERTY_SEED is a number or "random", not ${given}`);

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed });
