/**
 * Prices of what Amazon bills by use: an input of an estimate like any other. The ones here are list prices of one region
 * at one date, and a plan says so; a configuration with `prices` takes their place.
 */

/** In US dollars. */
export interface Prices {
  readonly region: string;
  /** When they were looked up: a year, a month or a day. */
  readonly asOf: string;
  readonly perMillion: {
    /** Of DynamoDB, on demand. */
    readonly writeUnits: number;
    readonly readUnits: number;
    /** Of Lambda, on arm64. */
    readonly gigabyteSeconds: number;
    readonly invocations: number;
    /** Of Step Functions, Standard. */
    readonly transitions: number;
  };
}

/** Without free tiers (the price lists of DynamoDB, Lambda and Step Functions). */
export const listPrices: Prices = {
  region: 'us-east-1',
  asOf: '2026-11',
  perMillion: {
    writeUnits: 0.625,
    readUnits: 0.125,
    gigabyteSeconds: 13.3334,
    invocations: 0.2,
    transitions: 25,
  },
};
