/** What an earlier attempt with other tooling left behind: a key of a job that its component has deleted since. */
const url = 'http://127.0.0.1:28511/v1/kv/jm/billing/job-9999';
const answer = await fetch(url, { method: 'PUT', body: '{"state":"left behind"}' });
if (!answer.ok) throw new Error(`Consul answered ${answer.status}`);
