/**
 * Which requests to a registry can only read: what a freeze lets through.
 *
 * GET, HEAD and OPTIONS, and of the rest these alone: lookups by content, searches by content, checks of compatibility and
 * dry runs. Everything that is not known here is refused, whatever its method is called. Read off the OpenAPI documents
 * inside Apicurio Registry 2.6.13 and 3.3.3, and held against both servers by test/contract/freeze-registry.test.ts.
 *
 * Patterns go to the RAW path, one `[^/]+` a segment: an artifact may be called `x%2Fmeta`, and decoded it would look like
 * another endpoint. A path with dot segments or path parameters (`;`) is never let through, because a server behind the
 * balancer may see another path in it. They are written in what PCRE, POSIX and JavaScript have in common.
 */
export interface ReadRequest {
  readonly method: 'POST' | 'PUT';
  /** Regular expression for the whole raw path. */
  readonly path: string;
  /** Only with the query parameter `dryRun=true`, and no other one of that name before it. */
  readonly dryRun: boolean;
}

const group = '/groups/[^/]+/artifacts';
const artifact = `${group}/[^/]+`;
const v2 = '/apis/registry/v2';
const v3 = '/apis/registry/v3';
const ccompat = '/apis/ccompat/v[678]';

const post = (path: string): ReadRequest => ({ method: 'POST', path, dryRun: false });
const put = (path: string): ReadRequest => ({ method: 'PUT', path, dryRun: false });

export const readMethods = ['GET', 'HEAD', 'OPTIONS'] as const;

export const readRequests: readonly ReadRequest[] = [
  post(`${v2}${artifact}/meta`),
  post(`${v2}/search/artifacts`),
  put(`${v2}${artifact}/test`),
  post('/apis/registry/v1/artifacts/[^/]+/meta'),
  put('/apis/registry/v1/artifacts/[^/]+/test'),
  post(`${ccompat}/subjects/[^/]+`),
  post(`${ccompat}/compatibility/subjects/[^/]+/versions`),
  post(`${ccompat}/compatibility/subjects/[^/]+/versions/[^/]+`),
  post(`${v3}/search/artifacts`),
  post(`${v3}/search/versions`),
  post(`${v3}/content/references`),
  post(`${v3}/content/canonicalize`),
  post(`${v3}${artifact}/versions/[^/]+/render`),
  { method: 'POST', path: `${v3}${group}`, dryRun: true },
  { method: 'POST', path: `${v3}${artifact}/versions`, dryRun: true },
  { method: 'PUT', path: `${v3}${artifact}/versions/[^/]+/state`, dryRun: true },
];

/**
 * For the query string: `dryRun=true`, with nothing before it that could be the same name (servers take the first). Names
 * that are encoded are refused with it.
 */
export const dryRunQuery = '^([a-ce-zA-Z][A-Za-z]*=[^&]*&)*dryRun=true(&|$)';

/** Paths that a server may read as other ones: dot segments, encoded or not, and path parameters. */
export const ambiguousPath = '(/(\\.|%2[eE])(\\.|%2[eE])?(/|$))|;';

/** The same decision in JavaScript: what the tests hold the balancers' against. @param target as in the request line */
export function onlyReads(method: string, target: string): boolean {
  if (readMethods.some((each) => each === method)) return true;
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  const query = mark < 0 ? '' : target.slice(mark + 1);
  if (new RegExp(ambiguousPath).test(path)) return false;
  return readRequests.some(
    (each) =>
      each.method === method &&
      new RegExp(`^${each.path}$`).test(path) &&
      (!each.dryRun || new RegExp(dryRunQuery).test(query)),
  );
}
