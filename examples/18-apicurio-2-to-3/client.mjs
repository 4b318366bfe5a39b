/** A client of 2.6, which knows the load balancer and nothing else: registers a schema, or looks one up. */
const api = 'http://127.0.0.1:28183/apis/registry/v2';
const [verb, what] = process.argv.slice(2);

const { version } = await (await fetch(`${api}/system/info`)).json();
const answer =
  verb === 'register'
    ? await fetch(`${api}/groups/shop/artifacts`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'x-registry-artifactid': what,
          'x-registry-artifacttype': 'AVRO',
        },
        body: JSON.stringify({ type: 'record', name: what, fields: [{ name: 'id', type: 'string' }] }),
      })
    : await fetch(`${api}/groups/shop/artifacts/${what}/meta`);
if (!answer.ok) {
  console.log(`reads come from ${version}; this was answered ${answer.status}`);
  process.exit(1);
}
const { globalId } = await answer.json();
console.log(`${version}  ${what} is global id ${globalId}`);
