// Stands for `aws dynamodb …`: sends one request, whose words are in a file, to DynamoDB Local.
import { readFile } from 'node:fs/promises';

const [operation, file] = process.argv.slice(2);
const answer = await fetch('http://127.0.0.1:28010', {
  method: 'POST',
  headers: {
    'content-type': 'application/x-amz-json-1.0',
    'x-amz-target': `DynamoDB_20120810.${operation}`,
    // The emulator takes any signature, but wants one.
    authorization:
      'AWS4-HMAC-SHA256 Credential=local/20260101/eu-west-1/dynamodb/aws4_request, SignedHeaders=host, Signature=none',
  },
  body: await readFile(file ?? ''),
});
console.log(await answer.text());
process.exitCode = answer.ok ? 0 : 1;
