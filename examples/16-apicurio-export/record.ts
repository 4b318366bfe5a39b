/**
 * Records input/export.zip from a real Apicurio Registry 2.6.13: run it from the root of the workspace,
 * `npx node --conditions=keyferry-source examples/16-apicurio-export/record.ts`.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startApicurio } from '@keyferry/servers';

await using server = await startApicurio({ version: '2.6' });
const base = `${server.endpoint}/apis/registry/v2`;

async function send(method: string, path: string, body: unknown, headers: Record<string, string> = {}): Promise<void> {
  const reply = await fetch(`${base}${path}`, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  if (!reply.ok) throw new TypeError(`${method} ${path}: ${reply.status} ${await reply.text()}`);
}

const record = (name: string, ...fields: readonly string[]): object => ({
  type: 'record',
  name,
  fields: fields.map((field) => ({ name: field, type: 'string' })),
});

async function artifact(group: string, id: string, version: string, schema: object): Promise<void> {
  const headers = { 'x-registry-artifactid': id, 'x-registry-version': version };
  await send('POST', `/groups/${group}/artifacts?ifExists=UPDATE`, schema, headers);
}

await send('POST', '/admin/rules', { type: 'VALIDITY', config: 'SYNTAX_ONLY' });
await send('POST', '/groups', { id: 'orders', properties: { team: 'checkout' } });
await artifact('orders', 'order', '1', record('Order', 'id'));
await artifact('orders', 'order', '2', record('Order', 'id', 'at'));
await send('PUT', '/groups/orders/artifacts/order/versions/1/state', { state: 'DEPRECATED' });
await send('POST', '/groups/orders/artifacts/order/rules', { type: 'COMPATIBILITY', config: 'BACKWARD' });
await artifact('default', 'invoice', 'release 1', record('Invoice', 'id'));
await artifact('default', 'flags', '1', record('Flags', 'name'));
await send('PUT', '/groups/default/artifacts/flags/versions/1/meta', { labels: ['Beta', 'beta'] });

const zip = await fetch(`${base}/admin/export`, { headers: { accept: 'application/zip' } });
writeFileSync(fileURLToPath(new URL('input/export.zip', import.meta.url)), Buffer.from(await zip.arrayBuffer()));
