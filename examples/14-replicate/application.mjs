/**
 * An application that follows the switch, through etcd's own JSON gateway: before each write it looks where it goes, and
 * waits while writes are held.
 *
 *     node application.mjs put NAME VALUE | delete NAME | list
 */
const endpoint = 'http://127.0.0.1:23794/v3/kv';
const base64 = (text) => Buffer.from(text).toString('base64');
const text = (value) => Buffer.from(value ?? '', 'base64').toString('utf8');

async function call(what, body) {
  const answer = await fetch(`${endpoint}/${what}`, { method: 'POST', body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${what}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

async function whereTo() {
  for (;;) {
    const { kvs = [] } = await call('range', { key: base64('_keyferry/switch/primary') });
    // Nothing was announced yet: all is as it was.
    const { primary, writes } =
      kvs.length === 0 ? { primary: 'source', writes: 'open' } : JSON.parse(text(kvs[0].value));
    if (writes === 'open') return primary === 'source' ? '/from/' : '/to/';
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const [what, name = '', value = ''] = process.argv.slice(2);
const prefix = await whereTo();
if (what === 'put') await call('put', { key: base64(prefix + name), value: base64(value) });
if (what === 'delete') await call('deleterange', { key: base64(prefix + name) });
if (what !== 'list') console.log(`${what} ${prefix}${name}`);
else {
  const { kvs = [] } = await call('range', { key: base64(prefix), range_end: base64(`${prefix.slice(0, -1)}0`) });
  for (const each of kvs) console.log(`${text(each.key)} = ${text(each.value)}`);
}
