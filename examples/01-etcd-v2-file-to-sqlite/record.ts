/**
 * Records `input/config-v2.json`: starts a real etcd 3.4 with its v2 API on, fills it with the configuration of a small
 * shop, and saves what a recursive GET answers, byte for byte.
 *
 *     node examples/01-etcd-v2-file-to-sqlite/record.ts
 *
 * Recorded and not made up, so that the example meets what a server really writes: omitted fields, the order of
 * siblings, escapes, an expiry in nanoseconds. The tree holds what migrations stumble over: `a-b` beside `a/b` (tree
 * order is not byte order), an empty value, an empty directory, text beyond ASCII, keys that expire, and a directory
 * whose children expire with it. Keys, values and indexes are the same in every recording; `ttl` and `expiration` tell
 * the time left until 2099.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { request, startEtcd, v2KeyUrl } from '@keyferry/servers';

type Fields = Readonly<Record<string, string>>;

const output = new URL('input/config-v2.json', import.meta.url);
const untilYear2099 = { ttl: String(Math.floor((Date.UTC(2099, 0, 1) - Date.now()) / 1000)) };

function* entries(): Generator<readonly [key: string, fields: Fields]> {
  const put = (key: string, value: string, more: Fields = {}) => [`/config/${key}`, { value, ...more }] as const;

  const features = ['cart', 'checkout', 'search', 'wishlist', 'reviews', 'gift-cards', 'express', 'invoices'];
  for (const feature of features) {
    yield put(`features/${feature}/enabled`, feature === 'express' ? 'false' : 'true');
    yield put(`features/${feature}/rollout`, JSON.stringify({ percent: feature.length * 10, sticky: true }));
    yield put(`features/${feature}/owner`, `team-${feature.charAt(0)}`);
  }
  // Siblings whose order in the tree is not their order as bytes: `-` and `.` stand before `/`.
  yield put('features/cart-v2', 'off');
  yield put('features/cart.legacy', 'on');
  yield put('features/cart/limits/lines', '200');

  for (const service of ['api', 'auth', 'billing', 'catalog', 'mail', 'media', 'orders', 'stock', 'tax', 'web']) {
    yield put(`routes/${service}/upstream`, `http://${service}.internal:8080`);
    yield put(`routes/${service}/timeout`, '2500ms');
    yield put(`routes/${service}/retries`, '2');
    for (const path of ['', 'health', 'v1', 'v2']) {
      yield put(`routes/${service}/paths/${path === '' ? 'root' : path}`, `/${service}/${path}`);
    }
    for (const zone of ['eu-1', 'eu-2', 'us-1']) {
      yield put(`routes/${service}/weights/${zone}`, zone === 'eu-1' ? '60' : '20');
      yield put(`limits/${service}/${zone}/requests`, '1200');
      yield put(`limits/${service}/${zone}/burst`, '300');
    }
    yield put(`limits/${service}/body`, '8MiB');
    yield put(`limits/${service}/headers`, '64KiB');
    for (const level of ['level', 'format', 'sample']) {
      yield put(`logging/${service}/${level}`, { level: 'info', format: 'json', sample: '0.01' }[level] ?? '');
    }
  }

  for (const database of ['orders', 'stock', 'users']) {
    yield put(`db/${database}/host`, `${database}-db.internal`);
    yield put(`db/${database}/port`, '5432');
    yield put(`db/${database}/user`, `${database}_app`);
    yield put(`db/${database}/password`, `not-a-real-password-${database}`);
    yield put(`db/${database}/pool`, '{"min":2,"max":20}');
  }

  const currencies = ['EUR', 'USD', 'GBP', 'JPY', 'CHF', 'SEK', 'PLN', 'CZK'];
  for (const [at, currency] of currencies.entries()) {
    yield put(`pricing/rounding/${currency}`, currency === 'JPY' ? '1' : '0.01');
    yield put(`pricing/fees/${currency}`, String(0.25 + at / 20));
  }
  const greetings = {
    de: 'Grüß Gott',
    en: 'Hello',
    fr: 'Ça va ?',
    ja: 'いらっしゃいませ',
    pl: 'Cześć',
    tr: 'Günaydın',
  };
  for (const [language, greeting] of Object.entries(greetings)) {
    yield put(`texts/${language}/greeting`, greeting);
    yield put(`texts/${language}/footer`, `<p>© Shop & Söhne — ${language}</p>`);
  }
  yield put('texts/日本語/挨拶', 'こんにちは 👋');
  yield put('texts/with space/100%', 'percent, space, "quotes" and a\nsecond line');

  for (let worker = 1; worker <= 110; worker += 1) {
    const name = String(worker).padStart(3, '0');
    yield put(
      `workers/${name}`,
      JSON.stringify({ queue: worker % 4 === 0 ? 'slow' : 'fast', parallel: (worker % 5) + 1 }),
    );
  }

  yield put('notice', '');
  yield ['/config/overrides', { dir: 'true' }];
  yield put('certificates/root', 'valid until the end of the century', untilYear2099);
  yield ['/config/archive', { dir: 'true', ...untilYear2099 }];
  yield put('archive/2024', 's3://archive/2024');
  yield put('archive/2025', 's3://archive/2025');
  // Outside of the migrated prefix, and beginning like it.
  yield ['/config-old/ignored', { value: 'not part of the migration' }];
}

await using etcd = await startEtcd({ version: '3.4', enableV2: true });
const endpoint = etcd.endpoints[0] ?? '';
const headers = { 'content-type': 'application/x-www-form-urlencoded' };
let keys = 0;
// One after another: the indexes in the recording count the keys in this order.
for (const [key, fields] of entries()) {
  const body = new URLSearchParams(fields).toString();
  const reply = await request(v2KeyUrl(endpoint, key), { method: 'PUT', headers, body });
  if (reply.status !== 201) throw new Error(`PUT ${key} was answered ${reply.status}: ${reply.body}`);
  keys += fields['dir'] === undefined ? 1 : 0;
}
const { body } = await request(`${v2KeyUrl(endpoint, '/')}?recursive=true&sorted=true&quorum=true`);
await mkdir(new URL('.', output), { recursive: true });
await writeFile(output, body);
console.log(`recorded ${keys} keys, ${Buffer.byteLength(body)} bytes`);
