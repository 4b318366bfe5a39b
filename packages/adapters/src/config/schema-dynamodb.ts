/** The part of a configuration that is about DynamoDB: where a table is, and a table as a store. */
import * as z from 'zod';
import { choice, duration, endpoint, expects, integer, text } from './scalars.ts';

const tableNameWords = 'the name of a table, of 3 to 255 letters, digits, dots, dashes and underscores,';
const regionWords = 'the name of a region, such as eu-west-1,';

/** Where a table is, for the state and for stores. @param what the table is */
export const dynamoDbTable = (what: string) => ({
  table: z
    .string({ error: expects(tableNameWords) })
    .regex(/^[A-Za-z0-9._-]{3,255}$/, `${tableNameWords} is expected`)
    .describe(what),
  region: z
    .string({ error: expects(regionWords) })
    .regex(/^[a-z0-9-]+$/, `${regionWords} is expected`)
    .describe('region of the table'),
  endpoint: endpoint.optional().describe("only for an emulator, or an endpoint of a VPC; by default the region's own"),
  requestTimeout: duration.optional().describe('how long one request may take; 10s by default'),
});

const attributeType = choice(['string', 'binary']);

export const dynamoDb = z
  .strictObject({
    kind: z.literal('dynamodb'),
    ...dynamoDbTable('the table; it has to be there'),
    key: z
      .strictObject({
        hash: text.describe('attribute that is the partition key'),
        hashType: attributeType.default('string').describe('type of the partition key'),
        sort: text.optional().describe('attribute that is the sort key, where the table has one'),
        sortType: attributeType.default('string').describe('type of the sort key'),
        separator: text.default('/').describe('what stands between the two in a key; the first one parts them'),
      })
      .describe('what makes the key of a record'),
    value: z
      .strictObject({
        from: choice(['attribute', 'item'])
          .default('attribute')
          .describe('one attribute, or all attributes beside key and ttl as canonical DynamoDB JSON'),
        attribute: text.default('value').describe('attribute that holds the value; of no meaning with from: item'),
        type: choice(['binary', 'string']).default('binary').describe('type of that attribute'),
      })
      .prefault({})
      .describe('what makes the value of a record'),
    ttl: text
      .optional()
      .describe('attribute with the second at which an item ends, for which TTL is on; without it no record expires'),
    leaveOut: z
      .array(text, { error: expects('a list of attributes') })
      .default([])
      .describe('attributes that belong to no record, such as a revision; overwriting an item leaves them as they are'),
    writes: choice(['transactions', 'single'])
      .default('transactions')
      .describe('as a target: fenced transactions, or single conditional writes at half the price and without fences'),
    segments: integer('a number of segments', 1, 256).default(4).describe('parts of the table that are read at once'),
    reservedPrefix: text.optional().describe('where keyferry keeps its own items in this table; _keyferry/ by default'),
  })
  .superRefine(({ key, value, ttl, leaveOut }, context) => {
    const names = [key.hash, key.sort, ttl, ...leaveOut, ...(value.from === 'attribute' ? [value.attribute] : [])];
    const given = names.filter((each) => each !== undefined);
    const twice = given.find((each, at) => given.indexOf(each) !== at);
    if (twice !== undefined) context.addIssue(`attribute ${twice} is named for two purposes; each has one`);
  })
  .describe('the items of a DynamoDB table; credentials are found as the AWS SDK finds them');
