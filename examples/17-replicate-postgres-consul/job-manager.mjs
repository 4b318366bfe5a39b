/**
 * A job manager that follows the switch in Consul. Before each call it looks which store is primary, and where writes are held it
 * watches the key (a blocking query) until they are not.
 *
 *     node job-manager.mjs set NAME STATE | get NAME | drop NAME
 */
import { Client } from 'pg';

const consul = 'http://127.0.0.1:28512/v1/kv/';
const service = 'billing';

async function whereTo() {
  for (let index = '0'; ;) {
    const answer = await fetch(`${consul}switches/jm/primary?index=${index}&wait=10s`);
    index = answer.headers.get('x-consul-index') ?? '0';
    // Nothing was announced yet: all is as it was.
    if (answer.status === 404) return 'source';
    const [{ Value }] = await answer.json();
    const { primary, writes } = JSON.parse(Buffer.from(Value, 'base64').toString('utf8'));
    if (writes === 'open') return primary;
  }
}

const inPostgres = {
  async set(name, state) {
    await this.query(
      `INSERT INTO jm.jobs VALUES ($1, $2, $3, 1) ON CONFLICT (service, name)
         DO UPDATE SET state = $3, version = jobs.version + 1`,
      [service, name, state],
    );
  },
  async get(name) {
    const rows = await this.query('SELECT state, version FROM jm.jobs WHERE service = $1 AND name = $2', [
      service,
      name,
    ]);
    return rows.length === 0 ? 'no such job' : `${rows[0].state}, version ${rows[0].version}`;
  },
  async drop(name) {
    await this.query('DELETE FROM jm.jobs WHERE service = $1 AND name = $2', [service, name]);
  },
  async query(sql, values) {
    const client = new Client('postgres://job_manager:job-manager@127.0.0.1:25433/postgres');
    await client.connect();
    const { rows } = await client.query(sql, values);
    await client.end();
    return rows;
  },
};

const inConsul = {
  async set(name, state) {
    const { job, index } = await this.read(name);
    const next = { payload: job?.payload, state, version: (job?.version ?? 0) + 1 };
    const answer = await fetch(`${consul}jm/${service}/${name}?cas=${index}`, {
      method: 'PUT',
      body: JSON.stringify(next),
    });
    if ((await answer.text()) !== 'true') throw new Error(`somebody else changed ${name}`);
  },
  async get(name) {
    const { job } = await this.read(name);
    return job === null ? 'no such job' : `${job.state}, version ${job.version}`;
  },
  async drop(name) {
    await fetch(`${consul}jm/${service}/${name}`, { method: 'DELETE' });
  },
  async read(name) {
    const answer = await fetch(`${consul}jm/${service}/${name}?consistent`);
    if (answer.status === 404) return { job: null, index: 0 };
    const [{ Value, ModifyIndex }] = await answer.json();
    return { job: JSON.parse(Buffer.from(Value, 'base64').toString('utf8')), index: ModifyIndex };
  },
};

const [what, name, state] = process.argv.slice(2);
const isSource = (await whereTo()) === 'source';
const said = await (isSource ? inPostgres : inConsul)[what](name, state);
console.log(`${isSource ? 'store2' : 'store3'}  ${name}: ${said ?? what}`);
