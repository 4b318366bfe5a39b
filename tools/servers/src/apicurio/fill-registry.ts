/**
 * Fills a 2.6 by its own API, as its clients do: every kind of entity, and every hazard of an import into 3.x that the API lets
 * anybody make; as many plain versions besides as are asked for. What only older releases and converters left in archives is in
 * the adapters' tests, written by hand.
 *
 * Each hazard is in a group or artifact of its own, named after it, so that what becomes of it is told by its name.
 */
import { clientAgent, request } from '../net/request.ts';
import { ServerError } from '../server-error.ts';

export interface FillOptions {
  /** Plain versions besides, ten an artifact. Default 0. */
  readonly versions?: number;
  /** Requests in flight for those. Default 8. */
  readonly concurrency?: number;
  /** Default true: the hazards too. */
  readonly hazards?: boolean;
}

type Headers = Readonly<Record<string, string>>;
const json = { 'content-type': 'application/json' };

/** @returns how many versions there were made. @throws {ServerError} `server.command-failed` at the first refusal. */
export async function fillRegistry(
  endpoint: string,
  { versions = 0, concurrency = 8, hazards = true }: FillOptions = {},
): Promise<number> {
  const agent = clientAgent(undefined, concurrency);
  try {
    const filler = new Filler(`${endpoint}/apis/registry/v2`, agent);
    await filler.everyKind();
    if (hazards) await filler.hazards();
    await filler.plain(versions, concurrency);
    return filler.made;
  } finally {
    agent.destroy();
  }
}

class Filler {
  made = 0;
  private readonly base: string;
  private readonly agent: ReturnType<typeof clientAgent>;

  constructor(base: string, agent: ReturnType<typeof clientAgent>) {
    this.base = base;
    this.agent = agent;
  }

  async everyKind(): Promise<void> {
    await this.call('POST', '/admin/rules', { type: 'VALIDITY', config: 'SYNTAX_ONLY' });
    await this.call('POST', '/groups', { id: 'orders', description: 'of orders' });
    await this.version('orders', 'order', '1', record('Order', 'id'));
    await this.version('orders', 'order', '2', record('Order', 'id', 'at'));
    await this.version('orders', 'order', '3', record('Order', 'id', 'at', 'by'));
    await this.call('POST', '/groups/orders/artifacts/order/versions/3/comments', { value: 'seen' });
    await this.call('PUT', '/groups/orders/artifacts/order/versions/1/state', { state: 'DISABLED' });
    await this.call('PUT', '/groups/orders/artifacts/order/versions/2/state', { state: 'DEPRECATED' });
    await this.call('POST', '/groups/orders/artifacts/order/rules', { type: 'COMPATIBILITY', config: 'BACKWARD' });
    await this.version('default', 'labelled', '1', record('Labelled', 'a'));
    await this.call('PUT', '/groups/default/artifacts/labelled/versions/1/meta', {
      name: 'labelled one',
      description: 'of every kind',
      labels: ['x', 'Upper'],
      properties: { k: 'v', Upper2: 'V', empty: '' },
    });
    await this.extended('default', 'referring', record('Referring', 'q'), [
      { groupId: 'orders', artifactId: 'order', version: '3', name: 'com.Order' },
      { groupId: null, artifactId: 'labelled', version: '1', name: 'com.Labelled' },
    ]);
    await this.version('implied', 'shares', '1', record('Order', 'id'));
    await this.version('implied', 'odd/id name', '1', record('Odd', 'a'));
    await this.version('implied', 'proto', '1', 'syntax = "proto3";\nmessage A { string b = 1; }\n', 'PROTOBUF');
    await this.version('implied', 'hidden', '1', record('Hidden', 'a'));
    await this.call('PUT', '/groups/implied/artifacts/hidden/versions/1/state', { state: 'DISABLED' });
    await this.call('PUT', '/admin/config/properties/registry.download.href.ttl', { value: '60' });
    await this.call('PUT', '/admin/config/properties/registry.rest.artifact.deletion.enabled', { value: 'true' });
  }

  async hazards(): Promise<void> {
    const meta = async (artifact: string, body: object): Promise<void> => {
      await this.version('hazards', artifact, '1', record(artifact.replaceAll('-', '_'), 'a'));
      await this.call('PUT', `/groups/hazards/artifacts/${artifact}/versions/1/meta`, body);
    };
    await this.version('hazards', 'version-name', 'release 1', record('VersionName', 'a'));
    await meta('labels-clash', { labels: ['Red', 'red'] });
    await meta('property-too-long', { properties: { k: 'x'.repeat(513) } });
    await this.extended('hazards', 'references-clash', record('Clash', 'a'), [
      { groupId: 'orders', artifactId: 'order', version: '2', name: 'same' },
      { groupId: 'orders', artifactId: 'order', version: '3', name: 'same' },
    ]);
    await this.version('hazards', 'kind-refused', '1', '{"name":"x","inputSchema":{"type":"object"}}', 'JSON');
    await this.version('hazards', 'xml', '1', '<?xml version="1.0"?><a/>', 'XML');
    await this.call('POST', '/groups', { id: 'with-properties', properties: { team: 'a' } });
    await this.version('with-properties', 'inside', '1', record('Inside', 'a'));
    await this.version('hazards', 'owner-moved', '1', record('OwnerMoved', 'a'));
    await this.call('PUT', '/groups/hazards/artifacts/owner-moved/owner', { owner: 'somebody' });
    // Its content stays behind without a version, and its ids come again.
    await this.version('hazards', 'gone', '1', record('Gone', 'a'));
    await this.call('DELETE', '/groups/hazards/artifacts/gone');
  }

  async plain(count: number, concurrency: number): Promise<void> {
    let next = 0;
    const artifacts = Math.ceil(count / 10);
    const worker = async (): Promise<void> => {
      for (let at = next; at < artifacts; at = next) {
        next += 1;
        for (let version = 1; version <= Math.min(10, count - at * 10); version += 1) {
          await this.version(`plain-${at % 10}`, `schema-${at}`, `${version}`, record(`S${at}`, `f${version}`));
        }
      }
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
  }

  private async version(group: string, artifact: string, version: string, body: string, type = 'AVRO'): Promise<void> {
    const headers = { 'content-type': type === 'PROTOBUF' ? 'application/x-protobuf' : 'application/json' };
    await this.create(group, artifact, version, body, { ...headers, 'x-registry-artifacttype': type });
  }

  private async extended(group: string, artifact: string, content: string, references: object): Promise<void> {
    const headers = { 'content-type': 'application/create.extended+json', 'x-registry-artifacttype': 'AVRO' };
    await this.create(group, artifact, '1', JSON.stringify({ content, references }), headers);
  }

  private async create(
    group: string,
    artifact: string,
    version: string,
    body: string,
    headers: Headers,
  ): Promise<void> {
    const names = { 'x-registry-artifactid': artifact, 'x-registry-version': version };
    await this.call('POST', `/groups/${group}/artifacts?ifExists=UPDATE`, body, { ...headers, ...names });
    this.made += 1;
  }

  private async call(method: string, path: string, body?: unknown, headers: Headers = json): Promise<void> {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const options = body === undefined ? { method } : { method, headers, body: text };
    const reply = await request(`${this.base}${path}`, { ...options, agent: this.agent, timeoutMs: 60_000 });
    if (reply.status < 300) return;
    const summary = `${method} ${path} was answered ${reply.status}: ${reply.body.slice(0, 200)}`;
    throw new ServerError('server.command-failed', summary, 'It has to be an empty registry of 2.6.');
  }
}

function record(name: string, ...fields: readonly string[]): string {
  return JSON.stringify({ type: 'record', name, fields: fields.map((field) => ({ name: field, type: 'string' })) });
}
