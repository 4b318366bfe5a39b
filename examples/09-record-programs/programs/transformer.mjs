#!/usr/bin/env node
// Written for `etcdctl migrate --transformer`: nodes of v2 in, one behind the other; records of v3 out, each behind its
// length. Keys under /config/ move to /old/.
let text = '';
for await (const piece of process.stdin.setEncoding('utf8')) text += piece;

for (const node of nodesIn(text)) {
  if (node.dir) continue;
  const record = keyValue(node.key.replace('/config/', '/old/'), node.value, node);
  const length = Buffer.alloc(8);
  length.writeBigInt64LE(BigInt(record.length));
  process.stdout.write(Buffer.concat([length, record]));
}

/** mvccpb.KeyValue: key 1, create_revision 2, mod_revision 3, version 4, value 5. */
function keyValue(key, value, { createdIndex, modifiedIndex }) {
  return Buffer.concat([
    bytes(1, key),
    number(2, createdIndex),
    number(3, modifiedIndex),
    number(4, 1),
    bytes(5, value),
  ]);
}

function bytes(field, content) {
  const body = Buffer.from(content);
  return Buffer.concat([Buffer.from([field * 8 + 2, ...varint(body.length)]), body]);
}

function number(field, value) {
  return Buffer.from([field * 8, ...varint(value)]);
}

function varint(value) {
  const low = value % 128;
  return value < 128 ? [low] : [low + 128, ...varint(Math.floor(value / 128))];
}

function* nodesIn(objects) {
  let [depth, quoted, start] = [0, false, 0];
  for (let at = 0; at < objects.length; at += 1) {
    const c = objects[at];
    if (quoted && c === '\\') at += 1;
    else if (c === '"') quoted = !quoted;
    else if (!quoted && c === '{' && (depth += 1) === 1) start = at;
    else if (!quoted && c === '}' && (depth -= 1) === 0) yield JSON.parse(objects.slice(start, at + 1));
  }
}
