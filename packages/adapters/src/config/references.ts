/**
 * What one part of a configuration says about another: stores that migrations name, what each kind of store can be,
 * rules that need a certain target. It looks at the value as it was read, whether or not the schema accepts it, so that
 * all mistakes of a file come out at once.
 */
import { parseDurationMs, type ConfigIssue } from '@keyferry/core';
import { adapterKinds } from './adapter-kinds.ts';
import { nearest } from './nearest.ts';
import { checkReads } from './reads.ts';
import type { StoreKind } from './resolved-config.ts';
import { valueAt } from './schema-issues.ts';
import { cannotHoldSwitch, checkOnline, switchKinds } from './online-references.ts';
import { checkParallel } from './parallel-references.ts';
import { checkTables } from './table-references.ts';
import type { YamlText } from './yaml-text.ts';

export function checkReferences(yaml: YamlText, root: unknown): readonly ConfigIssue[] {
  return [
    ...keysOf(valueAt(root, ['stores'])).flatMap((store) => checkStore(yaml, root, store)),
    ...migrationsOf(root, true).flatMap((migration) => checkParallel(yaml, root, migration)),
    ...migrationsOf(root, false).flatMap((migration) => [
      ...checkSide(yaml, root, migration, 'source'),
      ...checkSide(yaml, root, migration, 'target'),
      ...checkRules(yaml, root, migration),
      ...checkBackup(yaml, root, migration),
      ...checkReplicate(yaml, root, migration),
      ...checkOrder(yaml, root, migration),
      ...checkReads(yaml, root, migration),
      ...checkOnline(yaml, root, migration, kindOf),
    ]),
  ];
}

function migrationsOf(root: unknown, parallel: boolean): readonly string[] {
  return keysOf(valueAt(root, ['migrations'])).filter(
    (migration) => (valueAt(root, ['migrations', migration, 'strategy']) === 'parallel') === parallel,
  );
}

const keysOf = (value: unknown): readonly string[] =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value) : [];

function kindOf(root: unknown, store: unknown): StoreKind | null {
  const kind = typeof store === 'string' ? valueAt(root, ['stores', store, 'kind']) : undefined;
  return typeof kind === 'string' && Object.hasOwn(adapterKinds, kind) ? (kind as StoreKind) : null;
}

/** Settings of TLS without TLS would silently have no effect, and a list of both kinds would protect one half. */
function checkStore(yaml: YamlText, root: unknown, store: string): readonly ConfigIssue[] {
  const endpoints = valueAt(root, ['stores', store, 'endpoints']);
  if (!Array.isArray(endpoints)) return [];
  const hasTls = valueAt(root, ['stores', store, 'tls']) !== undefined;
  const hasHttps = endpoints.some((endpoint: unknown) => typeof endpoint === 'string' && endpoint.startsWith('https:'));
  if (!hasTls && !hasHttps) return [];
  const why = hasTls ? 'the store has tls' : 'another endpoint is https';
  return endpoints.flatMap((endpoint: unknown, at) =>
    typeof endpoint === 'string' && endpoint.startsWith('http:')
      ? [yaml.issue(['stores', store, 'endpoints', at], 'value', `${why}, so an https URL is expected`)]
      : [],
  );
}

function checkSide(
  yaml: YamlText,
  root: unknown,
  migration: string,
  side: 'source' | 'target',
): readonly ConfigIssue[] {
  const path = ['migrations', migration, side];
  const store = valueAt(root, [...path, 'store']);
  if (typeof store !== 'string') return [];
  const known = keysOf(valueAt(root, ['stores']));
  if (!known.includes(store)) {
    const message = `there is no store ${JSON.stringify(store)} under stores`;
    return [yaml.issue([...path, 'store'], 'value', message, nearest(store, known))];
  }
  const kind = kindOf(root, store);
  if (kind === null) return [];
  if (!adapterKinds[kind][side]) {
    const can = Object.entries(adapterKinds).filter(([, able]) => able[side]);
    const message = `kind ${kind} cannot be a ${side} in this version; these can: ${can.map(([name]) => name).join(', ')}`;
    return [yaml.issue([...path, 'store'], 'value', message)];
  }
  const prefix = valueAt(root, [...path, 'prefix']);
  if (
    (kind === 'etcd-v2' || kind === 'etcd-v2-datadir') &&
    typeof prefix === 'string' &&
    prefix !== '' &&
    !prefix.startsWith('/')
  ) {
    return [yaml.issue([...path, 'prefix'], 'value', `keys of ${kind} start with a slash, so a prefix does too`)];
  }
  if (kind === 'consul' && side === 'target' && typeof prefix === 'string' && prefix.startsWith('/')) {
    return [yaml.issue([...path, 'prefix'], 'value', 'keys of consul do not begin with a slash: no path names them')];
  }
  if (kind !== 'postgres' || typeof prefix !== 'string') return [];
  return checkTables(yaml, root, { store, side, prefixPath: [...path, 'prefix'], prefix });
}

/** Each name is a migration of the file, and none comes, by whatever way, before itself. */
function checkOrder(yaml: YamlText, root: unknown, migration: string): readonly ConfigIssue[] {
  const known = keysOf(valueAt(root, ['migrations']));
  return namesAfter(root, migration).flatMap((name, at) => {
    const path = ['migrations', migration, 'after', at];
    if (!known.includes(name)) {
      const message = `there is no migration ${JSON.stringify(name)} under migrations`;
      return [yaml.issue(path, 'value', message, nearest(name, known))];
    }
    const ring = wayTo(migration, name, (each) => namesAfter(root, each));
    if (ring === null) return [];
    return [yaml.issue(path, 'value', `${[migration, ...ring].join(' after ')}: none of them could ever begin`)];
  });
}

function namesAfter(root: unknown, migration: string): readonly string[] {
  const after = valueAt(root, ['migrations', migration, 'after']);
  return Array.isArray(after) ? after.filter((name): name is string => typeof name === 'string') : [];
}

/** The names from `from` to `wanted`, both included; null: no way leads there. */
function wayTo(
  wanted: string,
  from: string,
  next: (name: string) => readonly string[],
  seen = new Set<string>(),
): readonly string[] | null {
  if (from === wanted) return [from];
  if (seen.has(from)) return null;
  seen.add(from);
  for (const each of next(from)) {
    const rest = wayTo(wanted, each, next, seen);
    if (rest !== null) return [from, ...rest];
  }
  return null;
}

const backedUp = { source: 'etcd-v2-datadir', target: 'etcd-v3' } as const satisfies Record<string, StoreKind>;

function checkBackup(yaml: YamlText, root: unknown, migration: string): readonly ConfigIssue[] {
  return (['source', 'target'] as const).flatMap((side) => {
    const path = ['migrations', migration, 'backup', side];
    const kind = kindOf(root, valueAt(root, ['migrations', migration, side, 'store']));
    if (valueAt(root, path) !== true || kind === null || kind === backedUp[side]) return [];
    const message = `a ${side} of kind ${kind} cannot be backed up from here; one of kind ${backedUp[side]} can`;
    return [yaml.issue(path, 'value', message)];
  });
}

const durationOf = (value: unknown, byDefault: string): number | null =>
  parseDurationMs(typeof value === 'string' ? value : byDefault);

function checkReplicate(yaml: YamlText, root: unknown, migration: string): readonly ConfigIssue[] {
  const base = ['migrations', migration];
  const isReplicate = valueAt(root, [...base, 'strategy']) === 'replicate';
  const block = valueAt(root, [...base, 'replicate']);
  if (!isReplicate) {
    if (block === undefined) return [];
    return [yaml.issue([...base, 'replicate'], 'key', 'it belongs to   strategy: replicate')];
  }
  if (block === undefined) {
    const message = 'strategy replicate needs to know how writers are held:   replicate: { freeze: … }';
    return [yaml.issue([...base, 'strategy'], 'value', message)];
  }
  const issues: ConfigIssue[] = [];
  const source = kindOf(root, valueAt(root, [...base, 'source', 'store']));
  if (source !== null && !adapterKinds[source].target) {
    const message = `nothing can be written to kind ${source}, so there would be no way back: strategy offline can`;
    issues.push(yaml.issue([...base, 'strategy'], 'value', message));
  }
  const form = [...base, 'replicate', 'freeze', 'switch', 'form'];
  if (valueAt(root, form) !== undefined) {
    const message =
      'the key of the guide holds no writes back, and replicate rests on that; it has an effect with dual-read';
    issues.push(yaml.issue(form, 'key', message));
  }
  const path = [...base, 'replicate', 'freeze', 'switch', 'store'];
  const store = valueAt(root, path);
  const known = keysOf(valueAt(root, ['stores']));
  const kind = kindOf(root, store);
  if (typeof store === 'string' && !known.includes(store)) {
    const message = `there is no store ${JSON.stringify(store)} under stores`;
    issues.push(yaml.issue(path, 'value', message, nearest(store, known)));
  } else if (kind !== null && !switchKinds.includes(kind)) {
    issues.push(yaml.issue(path, 'value', cannotHoldSwitch(kind, switchKinds)));
  }
  const { freeze, instances, pauseMax, requestLife } = block as Readonly<Record<string, unknown>>;
  const isLed = freeze === 'person' || valueAt(freeze, ['command']) !== undefined;
  if (isLed && instances !== undefined && instances !== 'none') {
    const message = 'where a program or a person leads applications, there is no switch at which an instance registers';
    issues.push(yaml.issue([...base, 'replicate', 'instances'], 'key', message));
  }
  const [longest, life] = [durationOf(pauseMax, '30s'), durationOf(requestLife, '5s')];
  if (longest !== null && life !== null && longest <= life) {
    const message = 'writes are held for longer than requestLife at any cutover: a longer time is expected';
    issues.push(yaml.issue([...base, 'replicate', ...(pauseMax === undefined ? [] : ['pauseMax'])], 'value', message));
  }
  return issues;
}

function checkRules(yaml: YamlText, root: unknown, migration: string): readonly ConfigIssue[] {
  const rules = valueAt(root, ['migrations', migration, 'rules']);
  if (!Array.isArray(rules)) return [];
  const target = kindOf(root, valueAt(root, ['migrations', migration, 'target', 'store']));
  const programs = checkPrograms(yaml, root, migration, rules);
  const leases = rules.flatMap((rule: unknown, at) => (valueAt(rule, ['ttl', 'toLease']) === undefined ? [] : [at]));
  const ttls = leases.flatMap((at, nth) => {
    const path = ['migrations', migration, 'rules', at, 'ttl'];
    if (nth > 0) return [yaml.issue(path, 'key', 'a second rule for ttl; one is expected')];
    if (target === null || target === 'etcd-v3' || target === 'etcd-v3-snapshot') return [];
    return [
      yaml.issue(
        [...path, 'toLease'],
        'key',
        `there are leases in etcd-v3 and etcd-v3-snapshot only, and the target is ${target}`,
      ),
    ];
  });
  return [...programs, ...ttls];
}

/** A transformer of etcdctl is told of nodes of etcd v2, as they are there. */
function checkPrograms(
  yaml: YamlText,
  root: unknown,
  migration: string,
  rules: readonly unknown[],
): readonly ConfigIssue[] {
  const programs = rules.flatMap((rule, at) => (valueAt(rule, ['program']) === undefined ? [] : [at]));
  return programs.flatMap((at, nth) => {
    const path = ['migrations', migration, 'rules', at, 'program'];
    if (nth > 0) return [yaml.issue(path, 'key', 'a second program; one is expected, which may start others')];
    if (valueAt(rules[at], ['program', 'protocol']) !== 'etcdctl-migrate') return [];
    const protocol = [...path, 'protocol'];
    const store = valueAt(root, ['migrations', migration, 'source', 'store']);
    const kind = kindOf(root, store);
    const format = typeof store === 'string' ? valueAt(root, ['stores', store, 'format']) : undefined;
    const issues: ConfigIssue[] = [];
    if (kind !== null && kind !== 'etcd-v2' && kind !== 'etcd-v2-datadir' && format !== 'etcd-v2-json') {
      const message = 'such a program is told of nodes of etcd v2, which this source has not; there is json-lines';
      issues.push(yaml.issue(protocol, 'value', message));
    }
    const changes = rules
      .slice(0, at)
      .some((rule) => changingRules.some((name) => valueAt(rule, [name]) !== undefined));
    if (changes) {
      const message =
        'such a program is told of nodes as they are in the source: only include and exclude may stand before it';
      issues.push(yaml.issue(protocol, 'value', message));
    }
    return issues;
  });
}

const changingRules = ['value', 'rename', 'module'];
