/** How a store bills by use, in DynamoDB's units; absent in the capabilities of those that do not. */
export interface StoreBilling {
  /** Bytes of an item beside the key and value of its record: names of attributes, a TTL. */
  readonly itemOverheadBytes: number;
  /** How it is written. */
  readonly writes: 'transactions' | 'single';
}
