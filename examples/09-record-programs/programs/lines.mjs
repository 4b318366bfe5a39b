#!/usr/bin/env node
// Speaks docs/protocols/record-programs.md: a record a line in, an answer a line out.
import { createInterface } from 'node:readline';

const dropped = process.argv[process.argv.indexOf('--drop') + 1];

let greeted = false;
for await (const line of createInterface({ input: process.stdin })) {
  const given = JSON.parse(line);
  if (!greeted) {
    if (given.keyferry !== 'records' || given.version !== 1) process.exit(2);
    greeted = true;
    console.log('{"keyferry":"records","version":1}');
  } else {
    console.log(JSON.stringify({ id: given.id, ...answerTo(given) }));
  }
}

function answerTo({ key, value }) {
  const name = key.text?.split('/').at(-1);
  if (name === undefined) return { error: 'a key that is no text' };
  if (name === dropped) return { drop: true };
  // One record becomes two: the value, and how long it is.
  const length = Buffer.byteLength(value.text ?? Buffer.from(value.base64, 'base64'));
  return { records: [{}, { key: { text: `${key.text}.length` }, value: { text: String(length) } }] };
}
