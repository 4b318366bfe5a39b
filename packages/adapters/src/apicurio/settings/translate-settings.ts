/**
 * A configuration for 3.x made of the one of 2.6: what was set goes on under its new name, what changed its meaning or its default
 * is set so that clients notice nothing, and what 3.x has nothing for is named.
 *
 *     registry-2.env ──► settings by their names in 2.6 ──► names in 3.x, with a fate each ──► registry-3.env
 *
 * Values of secrets do not pass: a copy of a password in one more file is one more place to lose it. Where the data is does not
 * pass either, as a 3.x that is started on the database or topic of 2.6 is the one mistake that harms production.
 */
import type { TranslatedSetting } from '@keyferry/core';
import { gone, renamed, sameButFirstWord, variables } from './settings-table.ts';

export interface SettingsText {
  /** `env`: NAME=value with names in capitals. `properties`: dotted names. */
  readonly form: 'env' | 'properties';
  readonly text: string;
}

export interface TranslateOptions {
  /** `3.3.3` */
  readonly release: string;
  /** That the import will bring. */
  readonly versions: number;
}

export interface Translation {
  readonly text: string;
  readonly settings: readonly TranslatedSetting[];
}

interface Line extends TranslatedSetting {
  /** null: left to whoever starts 3.x. */
  readonly value: string | null;
}

const secret = /password|secret|token(?!-path|\.endpoint)|credential(?!s?\.(?:enabled|cache))/i;

export function translateSettings({ form, text }: SettingsText, options: TranslateOptions): Translation {
  const found = readSettings(text);
  const byName = new Map(found.map(({ old, value }) => [nameIn2(old), { old, value }]));
  const lines: Line[] = [...byName].map(([name, { old, value }]) => translated(name, old, value));
  const all = [...withRealm(lines, byName), ...storage(byName), ...asClientsKnowIt(byName, options)];
  return {
    text: [
      '# For Apicurio Registry 3, made of the settings of 2.6. Lines that begin with # are left to you.',
      ...all.flatMap((line) => textOf(line, form)),
      '',
    ].join('\n'),
    settings: all.map(({ value: _value, ...setting }) => setting),
  };
}

/** `NAME=value` or `name: value`, quotes and `export` as in a shell; what is no setting is passed over. */
function readSettings(text: string): readonly { readonly old: string; readonly value: string }[] {
  return text.split(/\r?\n/).flatMap((line) => {
    const match = /^\s*(?:export\s+)?(%?[\w."-]+)\s*[=:]\s*(.*?)\s*$/.exec(line);
    if (match === null) return [];
    const [, old = '', raw = ''] = match;
    const quoted = /^(["'])(.*)\1$/.exec(raw);
    return [{ old, value: quoted?.[2] ?? raw }];
  });
}

/** Whatever way a setting was spelt: `REGISTRY_AUTH_ENABLED`, `AUTH_ENABLED` and `registry.auth.enabled` are one. */
function nameIn2(old: string): string {
  const known = variables[old];
  if (known !== undefined) return known;
  const dotted = old.replace(/^%prod\./, '');
  if (dotted.includes('.')) return dotted;
  return namesByVariable.get(dotted) ?? dotted;
}

const variableOf = (name: string): string => name.replaceAll(/[^A-Za-z0-9]/g, '_').toUpperCase();

const namesByVariable: ReadonlyMap<string, string> = new Map(
  [...sameButFirstWord, ...Object.keys(renamed), ...Object.keys(gone)].map((name) => [variableOf(name), name]),
);

/** Settled by `storage` and `withRealm`. */
const settledTogether: readonly string[] = [
  'quarkus.datasource.jdbc.url',
  'registry.kafkasql.topic',
  'registry.keycloak.url',
  'registry.keycloak.realm',
];

function translated(name: string, old: string, value: string): Line {
  const why = gone[name];
  if (why !== undefined) return { old, name: null, fate: 'gone', note: why, value: null };
  const to = sameButFirstWord.has(name) ? name.replace('registry.', 'apicurio.') : renamed[name];
  if (to !== undefined) return renamedTo(old, to, value);
  // Of Quarkus, and of the JVM: they are what they were.
  if (/^(?:%|quarkus\.|apicurio\.|JAVA_|QUARKUS_|APICURIO_)/.test(name)) {
    return { old, name, fate: 'kept', note: null, value: secret.test(name) ? null : value };
  }
  return { old, name: null, fate: 'unknown', note: 'no setting of 3.x is known for it', value: null };
}

function renamedTo(old: string, name: string, value: string): Line {
  if (secret.test(name))
    return { old, name, fate: 'by-hand', note: 'its value is a secret: take it from 2.6', value: null };
  return { old, name, fate: 'renamed', note: null, value };
}

type ByName = ReadonlyMap<string, { readonly old: string; readonly value: string }>;

/** 2.6 was told a server and a realm, 3.x is told one URL of both. */
function withRealm(lines: readonly Line[], byName: ByName): readonly Line[] {
  const [url, realm] = ['registry.keycloak.url', 'registry.keycloak.realm'].map((name) => byName.get(name));
  const others = lines.filter(({ old }) => !settledTogether.includes(nameIn2(old ?? '')));
  if (url === undefined && realm === undefined) return others;
  const name = 'quarkus.oidc.auth-server-url';
  if (url === undefined || realm === undefined) {
    const note = 'the URL of the realm: 2.6 was told only one of server and realm';
    return [...others, { old: (url ?? realm)?.old ?? null, name, fate: 'by-hand', note, value: null }];
  }
  const value = `${url.value.replace(/\/+$/, '')}/realms/${realm.value}`;
  return [
    ...others,
    { old: url.old, name, fate: 'renamed', note: 'server and realm are one URL', value },
    { old: realm.old, name, fate: 'renamed', note: 'server and realm are one URL', value: null },
  ];
}

const kinds: readonly (readonly [RegExp, string])[] = [
  [/^jdbc:postgresql:/, 'postgresql'],
  [/^jdbc:mysql:/, 'mysql'],
  [/^jdbc:sqlserver:/, 'mssql'],
  [/^jdbc:h2:/, 'h2'],
];

/** Of its own: neither the database nor the topic of 2.6 can be shared. */
function storage(byName: ByName): readonly Line[] {
  const [url, topic] = [byName.get('quarkus.datasource.jdbc.url'), byName.get('registry.kafkasql.topic')];
  const isKafka = topic !== undefined || [...byName.keys()].some((name) => name.startsWith('registry.kafkasql.'));
  if (isKafka) {
    const note = 'a topic of its own: 3.x cannot read that of 2.6, and must not write to it';
    return [
      added('apicurio.storage.kind', 'kafkasql', null),
      { old: topic?.old ?? null, name: 'apicurio.kafkasql.topic', fate: 'by-hand', note, value: null },
    ];
  }
  if (url === undefined) return [];
  const kind = kinds.find(([pattern]) => pattern.test(url.value))?.[1];
  const note = 'a database of its own, empty: 3.x refuses that of 2.6';
  return [
    added('apicurio.storage.kind', 'sql', null),
    ...(kind === undefined ? [] : [added('apicurio.storage.sql.kind', kind, null)]),
    { old: url.old, name: 'apicurio.datasource.url', fate: 'by-hand', note, value: null },
  ];
}

/** Defaults that are others in 3.x, set to what clients of 2.6 are used to. */
function asClientsKnowIt(byName: ByName, { release, versions }: TranslateOptions): readonly Line[] {
  const [minor = 0, patch = 0] = release.split('.').slice(1).map(Number);
  const isFrom = (least: number, leastPatch = 0): boolean => minor > least || (minor === least && patch >= leastPatch);
  const lines = [
    added(
      'apicurio.rest.deletion.artifact.enabled',
      'true',
      '2.6 always lets clients delete artifacts; 3.x answers 405',
    ),
    added('apicurio.rest.deletion.group.enabled', 'true', '2.6 always lets clients delete groups; 3.x answers 405'),
  ];
  if (isFrom(3)) {
    const note = 'a broken rule is answered 409 as by 2.6, and not 400';
    lines.push(added('apicurio.rest.legacy-error-codes.enabled', 'true', note));
  }
  const entries = 3 * versions + 1000;
  if (isFrom(3, 1) && entries > entriesMax) {
    const note = 'the import of an archive with more entries is refused; may go afterwards';
    lines.push(added('apicurio.import.zip.max-entry-count', String(entries), note));
  }
  if (isFrom(2) && byName.get('quarkus.management.port') === undefined) {
    const note =
      '/health and /metrics are on this port, and no longer on that of the APIs: checks of balancers and probes follow';
    lines.push(added('quarkus.management.port', '9000', note));
  }
  return lines;
}

/** Of 3.3.1 and later. */
const entriesMax = 10_000;

const added = (name: string, value: string, note: string | null): Line => ({
  old: null,
  name,
  fate: 'added',
  note,
  value,
});

function textOf({ old, name, fate, note, value }: Line, form: SettingsText['form']): readonly string[] {
  const why = note === null ? [] : [`# ${old === null ? '' : `${old}: `}${note}`];
  if (name === null) return why;
  if (fate === 'renamed' && value === null) return [];
  const spelt = form === 'env' ? variableOf(name) : name;
  return [...why, value === null ? `# ${spelt}=` : `${spelt}=${value}`];
}
