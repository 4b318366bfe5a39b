/**
 * Goal: who starts 3.x with what was made of the settings of 2.6 gets the registry that clients know, on a database of its own, and
 * is told of all that has no place.
 * Method: tables of settings in each spelling that 2.6 reads; laws over all of the table. Names were taken from the classes of 3.3.3.
 */
import { describe, expect, it } from 'vitest';
import { gone, renamed, sameButFirstWord, variables } from './settings-table.ts';
import { translateSettings, type TranslateOptions } from './translate-settings.ts';

const options: TranslateOptions = { release: '3.3.3', versions: 10 };
const translate = (form: 'env' | 'properties', lines: readonly string[], over: Partial<TranslateOptions> = {}) => {
  const { text, settings } = translateSettings({ form, text: lines.join('\n') }, { ...options, ...over });
  return { settings, lines: text.split('\n').filter((line) => line !== '' && !line.startsWith('#')), text };
};

describe('settings of 2.6', () => {
  it.each([
    ['REGISTRY_AUTH_ENABLED=true', 'QUARKUS_OIDC_TENANT_ENABLED=true'],
    ['AUTH_ENABLED=true', 'QUARKUS_OIDC_TENANT_ENABLED=true'],
    ['export AUTH_ENABLED="true"', 'QUARKUS_OIDC_TENANT_ENABLED=true'],
    ['REGISTRY_AUTH_RBAC_ENABLED=true', 'APICURIO_AUTH_ROLE_BASED_AUTHORIZATION=true'],
    ['ENABLE_CCOMPAT_LEGACY_ID_MODE=true', 'APICURIO_CCOMPAT_LEGACY_ID_MODE_ENABLED=true'],
    ['REGISTRY_REST_ARTIFACT_DELETION_ENABLED=true', 'APICURIO_REST_DELETION_ARTIFACT_VERSION_ENABLED=true'],
    ['REGISTRY_DOWNLOAD_HREF_TTL=60', 'APICURIO_DOWNLOAD_HREF_TTL_SECONDS=60'],
    ['HTTP_PORT=8081', 'QUARKUS_HTTP_PORT=8081'],
    ['QUARKUS_LOG_LEVEL=DEBUG', 'QUARKUS_LOG_LEVEL=DEBUG'],
  ])('go on: %s', (old, wanted) => {
    expect(translate('env', [old]).lines).toContain(wanted);
  });

  it('go on in dots where they came in dots', () => {
    const { lines } = translate('properties', ['registry.ccompat.use-canonical-hash=true', 'quarkus.http.port: 8085']);
    expect(lines).toEqual(
      expect.arrayContaining(['apicurio.ccompat.use-canonical-hash=true', 'quarkus.http.port=8085']),
    );
  });

  it('make one URL of server and realm, and say what is lacking of it', () => {
    const both = ['KEYCLOAK_URL=https://sso.example/auth/', 'KEYCLOAK_REALM=registry'];
    expect(translate('env', both).lines).toContain(
      'QUARKUS_OIDC_AUTH_SERVER_URL=https://sso.example/auth/realms/registry',
    );
    const { settings, lines } = translate('env', both.slice(0, 1));
    expect(lines.some((line) => line.startsWith('QUARKUS_OIDC'))).toBe(false);
    expect(settings).toContainEqual(expect.objectContaining({ old: 'KEYCLOAK_URL', fate: 'by-hand' }));
  });

  it.each([
    ['REGISTRY_DATASOURCE_URL=jdbc:postgresql://db/registry', 'postgresql'],
    ['REGISTRY_DATASOURCE_URL=jdbc:h2:file:/data/registry', 'h2'],
  ])('never lead 3.x to the database of 2.6: %s', (line, kind) => {
    const { text, lines, settings } = translate('env', [line]);
    expect(text).not.toContain(line.split('=')[1]);
    expect(lines).toEqual(expect.arrayContaining(['APICURIO_STORAGE_KIND=sql', `APICURIO_STORAGE_SQL_KIND=${kind}`]));
    expect(settings).toContainEqual(expect.objectContaining({ name: 'apicurio.datasource.url', fate: 'by-hand' }));
  });

  it('never lead 3.x to the topic of 2.6, named or not', () => {
    for (const settings of [['KAFKA_BOOTSTRAP_SERVERS=kafka:9092'], ['REGISTRY_KAFKASQL_TOPIC=registry-journal']]) {
      const { text, lines } = translate('env', settings);
      expect(lines).toContain('APICURIO_STORAGE_KIND=kafkasql');
      expect(text).not.toContain('registry-journal\n');
      expect(text).toContain('# APICURIO_KAFKASQL_TOPIC=\n');
    }
  });

  it.each(['REGISTRY_DATASOURCE_PASSWORD=hush', 'KEYCLOAK_API_CLIENT_SECRET=hush', 'QUARKUS_DATASOURCE_PASSWORD=hush'])(
    'leave the value of a secret behind: %s',
    (line) => {
      const { text, settings } = translate('env', [line]);
      expect(text).not.toContain('hush');
      expect(JSON.stringify(settings)).not.toContain('hush');
      expect(settings.find(({ old }) => line.startsWith(old ?? ' '))?.name).not.toBeNull();
    },
  );

  it('that have no place are named', () => {
    const { settings } = translate('env', [
      'ENABLE_SENTRY=true',
      'REGISTRY_SOMETHING_ELSE=1',
      '# a comment',
      'no setting',
    ]);
    const fates = settings.filter(({ old }) => old !== null).map(({ old, fate }) => [old, fate]);
    expect(fates).toEqual([
      ['ENABLE_SENTRY', 'gone'],
      ['REGISTRY_SOMETHING_ELSE', 'unknown'],
    ]);
  });

  it.each([
    ['3.0.9', 10, ['rest.deletion.artifact', 'rest.deletion.group']],
    ['3.2.6', 10_000, ['rest.deletion.artifact', 'rest.deletion.group', 'management.port']],
    [
      '3.3.3',
      10_000,
      ['rest.deletion.artifact', 'rest.deletion.group', 'legacy-error-codes', 'max-entry-count', 'management.port'],
    ],
  ])('keep in %s what clients are used to', (release, versions, wanted) => {
    const added = translate('properties', [], { release, versions }).settings.filter(({ fate }) => fate === 'added');
    expect(added.map(({ name }) => name)).toEqual(wanted.map((part) => expect.stringContaining(part)));
  });

  it('law: none of the table is unknown, whichever way it is spelt', () => {
    const names = [...sameButFirstWord, ...Object.keys(renamed), ...Object.keys(gone)];
    const spellings = [...names, ...names.map((name) => name.replaceAll(/[^A-Za-z0-9]/g, '_').toUpperCase())];
    for (const name of [...spellings, ...Object.keys(variables)]) {
      const { settings } = translate(name.includes('.') ? 'properties' : 'env', [`${name}=1`]);
      expect({ name, fates: settings.map(({ fate }) => fate).filter((fate) => fate === 'unknown') }).toEqual({
        name,
        fates: [],
      });
      expect(settings.map(({ old }) => old)).toContain(name);
    }
  });
});
