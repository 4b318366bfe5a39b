/** What a user's prices are: those of the estimate that a plan makes, by a million. */
import type { Prices } from '@keyferry/core';
import * as z from 'zod';
import { expects, text } from './scalars.ts';

const price = (what: string) =>
  z
    .number({ error: expects('a number of dollars') })
    .nonnegative('a price is no less than 0')
    .describe(what);

/** All of them or none: a sum of prices of several regions would be nobody's. */
export const prices = z
  .strictObject({
    region: text.describe('of which they are, or the name of a contract; the plan shows it'),
    asOf: text.describe('when they were looked up; the plan shows it'),
    writeUnits: price('of DynamoDB on demand, a million'),
    readUnits: price('of DynamoDB on demand, a million'),
    gigabyteSeconds: price('of Lambda on arm64, a million'),
    invocations: price('of Lambda, a million'),
    transitions: price('of Step Functions Standard, a million'),
  })
  .transform(({ region, asOf, ...perMillion }): Prices => ({ region, asOf, perMillion }));
