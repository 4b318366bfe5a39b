/**
 * The databases of three components as a platform has them, as SQL: a job manager, a package manager and an auth server, each
 * with a schema of its own, a version number in every record, and a log of who changed what. The same rows each time.
 *
 *     node generate.ts > store2.sql
 */
const services = ['billing', 'checkout', 'search', 'eu/tax'];
const states = ['queued', 'running', 'done', 'failed'];

/** Small and good enough: numbers that look random and are the same on every machine. */
function* numbers(seed: number): Generator<number> {
  for (let state = seed >>> 0; ;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state >>> 8;
  }
}

const random = numbers(20_241_127);
const below = (limit: number): number => (random.next().value as number) % limit;
const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;
const json = (value: unknown): string => `${quoted(JSON.stringify(value))}::jsonb`;
const instant = (minutes: number): string => quoted(new Date(Date.UTC(2024, 0, 1, 0, minutes)).toISOString());

function insert(table: string, rows: readonly (readonly (string | number)[])[]): string {
  return `INSERT INTO ${table} VALUES\n${rows.map((row) => `  (${row.join(', ')})`).join(',\n')};\n`;
}

const jobs = Array.from({ length: 240 }, (_, nth) => [
  quoted(services[nth % services.length] ?? ''),
  quoted(`job-${String(nth).padStart(4, '0')}`),
  quoted(states[below(states.length)] ?? ''),
  1 + below(40),
  `${below(10_000)}.${String(below(100)).padStart(2, '0')}`,
  json({ queue: `q${below(4)}`, retry: { max: below(5), backoff: '30s' }, weight: 0.5 }),
  nth % 3 === 0 ? 'NULL' : instant(nth * 7),
]);
const packages = Array.from({ length: 150 }, (_, nth) => [
  quoted(`pkg-${nth % 30}`),
  quoted(`${1 + Math.floor(nth / 30)}.${nth % 10}.0`),
  `'\\x${String(below(0xffffff)).padStart(16, '0')}'`,
  json({ requires: [`pkg-${below(30)}`], channels: ['stable'] }),
  1 + below(9),
]);
const policies = Array.from({ length: 40 }, (_, nth) => [
  quoted(`team-${nth % 8}`),
  quoted(`policy-${nth}`),
  `ARRAY[${["'read'", "'write'", "'admin'"].slice(0, 1 + below(3)).join(', ')}]`,
  json({ subjects: [`group:${nth % 8}`], effect: below(2) === 0 ? 'allow' : 'deny' }),
  1 + below(12),
]);
const logged = (count: number) => Array.from({ length: count }, (_, nth) => [nth + 1, instant(nth), quoted('changed')]);

process.stdout.write(`CREATE ROLE keyferry_source LOGIN PASSWORD 'example-only';
CREATE SCHEMA jm;
CREATE TABLE jm.jobs (
  service text, name text, state text NOT NULL, version bigint NOT NULL, cost numeric(12,2) NOT NULL, spec jsonb NOT NULL,
  started_at timestamptz, PRIMARY KEY (service, name)
);
CREATE TABLE jm.audit_log (id bigint PRIMARY KEY, at timestamptz NOT NULL, what text NOT NULL);
CREATE SCHEMA pm;
CREATE TABLE pm.packages (
  name text, release text, digest bytea NOT NULL, manifest jsonb NOT NULL, version bigint NOT NULL, PRIMARY KEY (name, release)
);
CREATE SCHEMA auth;
CREATE TABLE auth.policies (
  team text, name text, rights text[] NOT NULL, rule jsonb NOT NULL, version bigint NOT NULL, PRIMARY KEY (team, name)
);
CREATE SCHEMA legacy;
CREATE TABLE legacy.settings (name text PRIMARY KEY, value text NOT NULL);
CREATE TABLE legacy.audit_log (id bigint PRIMARY KEY, at timestamptz NOT NULL, what text NOT NULL);
${insert('jm.jobs', jobs)}${insert('jm.audit_log', logged(20))}${insert('pm.packages', packages)}${insert('auth.policies', policies)}${insert('legacy.audit_log', logged(3))}
GRANT USAGE ON SCHEMA jm, pm, auth, legacy TO keyferry_source;
GRANT SELECT ON ALL TABLES IN SCHEMA jm, pm, auth, legacy TO keyferry_source;
`);
