/** DynamoDB's limits as keyferry keeps to them (developer guide, "Quotas"); nothing here loads its client. */

/** An item, with the names of its attributes. */
export const itemBytesMax = 400 * 1024;
export const hashBytesMax = 2048;
export const sortBytesMax = 1024;

/** Of the 100 items of a transaction: fence, epoch and mark come first. */
const guardItems = 3;
export const writesMax = 100 - guardItems;

/** Of the 4 MB of a transaction, with room for a mark of the longest keys. */
export const transactionBytesMax = 3_700_000;
/** Keys and values of a batch; the names of attributes come to them. */
export const batchBytesMax = 3_500_000;

/** BatchGetItem and BatchWriteItem. */
export const getMax = 100;
export const deleteMax = 25;

/** transactions: fenced, at twice the price. single: each record by itself, not fenced. */
export type WriteMode = 'transactions' | 'single';
