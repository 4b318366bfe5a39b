/**
 * What settings of 2.6 are called in 3.x. Sources: the application.properties of 2.6.13 for its variables of the environment, and
 * the names that the classes of 3.3.3 ask for; where the published table of renamed keys says otherwise, the classes are followed.
 */

/** Settings of 2.6 whose name only begins with another word: `registry.` is `apicurio.` */
export const sameButFirstWord: ReadonlySet<string> = new Set(
  `api.errors.include-stack-in-response auth.admin-override.claim auth.admin-override.claim-value auth.admin-override.enabled
  auth.admin-override.from auth.admin-override.role auth.admin-override.type auth.anonymous-read-access.enabled
  auth.authenticated-read-access.enabled auth.owner-only-authorization auth.owner-only-authorization.limit-group-access
  auth.role-based-authorization auth.role-source auth.role-source.header.name auth.roles.admin auth.roles.developer
  auth.roles.readonly ccompat.legacy-id-mode.enabled ccompat.max-subjects ccompat.use-canonical-hash config.cache.enabled
  config.dynamic.allow-all disable.apis events.kafka.config.bootstrap.servers events.kafka.topic events.ksink import.url
  kafkasql.bootstrap.servers kafkasql.consumer.poll.timeout kafkasql.coordinator.response-timeout kafkasql.security.protocol
  kafkasql.security.sasl.client-id kafkasql.security.sasl.client-secret kafkasql.security.sasl.enabled
  kafkasql.security.sasl.mechanism kafkasql.security.sasl.token.endpoint kafkasql.ssl.key.password
  kafkasql.ssl.keystore.location kafkasql.ssl.keystore.password kafkasql.ssl.keystore.type kafkasql.ssl.truststore.password
  kafkasql.topic.auto-create limits.config.max-artifact-labels limits.config.max-artifact-properties
  limits.config.max-artifacts limits.config.max-description-length limits.config.max-name-length
  limits.config.max-requests-per-second limits.config.max-total-schemas limits.config.max-versions-per-artifact
  liveness.errors.ignored sql.init storage.metrics.cache.max-size ui.features.settings url.override.host url.override.port`
    .split(/\s+/)
    .map((name) => `registry.${name}`),
);

/** Settings of 2.6 with another name in 3.x. */
export const renamed: Readonly<Record<string, string>> = {
  'quarkus.datasource.jdbc.initial-size': 'apicurio.datasource.jdbc.initial-size',
  'quarkus.datasource.jdbc.max-size': 'apicurio.datasource.jdbc.max-size',
  'quarkus.datasource.jdbc.min-size': 'apicurio.datasource.jdbc.min-size',
  'quarkus.datasource.password': 'apicurio.datasource.password',
  'quarkus.datasource.username': 'apicurio.datasource.username',
  'registry.auth.audit.log.prefix': 'apicurio.authn.audit.log.prefix',
  'registry.auth.basic-auth-client-credentials.cache-expiration':
    'apicurio.authn.basic-client-credentials.cache-expiration',
  'registry.auth.basic-auth-client-credentials.enabled': 'apicurio.authn.basic-client-credentials.enabled',
  'registry.auth.basic-auth.scope': 'apicurio.authn.basic.scope',
  'registry.auth.client-id': 'quarkus.oidc.client-id',
  'registry.auth.client-secret': 'quarkus.oidc.client-secret',
  'registry.auth.enabled': 'quarkus.oidc.tenant-enabled',
  'registry.auth.token.endpoint': 'quarkus.oidc.token-path',
  'registry.download.href.ttl': 'apicurio.download.href.ttl.seconds',
  'registry.enable-redirects': 'apicurio.redirects.enabled',
  'registry.limits.config.max-label-size': 'apicurio.limits.config.max-label-size.bytes',
  'registry.limits.config.max-property-key-size': 'apicurio.limits.config.max-property-key-size.bytes',
  'registry.limits.config.max-property-value-size': 'apicurio.limits.config.max-property-value-size.bytes',
  'registry.limits.config.max-schema-size-bytes': 'apicurio.limits.config.max-schema-size.bytes',
  'registry.rest.artifact.deletion.enabled': 'apicurio.rest.deletion.artifact-version.enabled',
  'registry.storage.metrics.cache.check-period': 'apicurio.storage.metrics.cache.check-period.ms',
  'registry.ui.config.auth.oidc.client-id': 'apicurio.ui.auth.oidc.client-id',
  'registry.ui.config.auth.oidc.redirect-url': 'apicurio.ui.auth.oidc.redirect-uri',
  'registry.ui.config.auth.oidc.scope': 'apicurio.ui.auth.oidc.scope',
  'registry.ui.config.uiContextPath': 'apicurio.ui.contextPath',
  'registry.ui.features.readOnly': 'apicurio.ui.features.read-only.enabled',
};

/** Settings of 2.6 that 3.x has nothing for, and why. */
export const gone: Readonly<Record<string, string>> = {
  'quarkus.datasource.db-kind': 'apicurio.storage.sql.kind says it',
  'registry.auth.tenant-owner-is-admin.enabled': 'there are no tenants in 3.x',
  'registry.enable.sentry': 'there is no Sentry in 3.x',
  'registry.events.kafka.topic-partition': 'the partition is chosen by the key',
  'registry.organization-id.claim-name': 'there are no tenants in 3.x',
  'registry.ui.config.apiUrl': 'the UI is a program of its own in 3.x, and is told there',
  'registry.ui.config.auth.keycloak.clientId': 'apicurio.ui.auth.oidc.client-id says it',
  'registry.ui.config.auth.keycloak.realm': 'the UI takes what quarkus.oidc.auth-server-url says',
  'registry.ui.config.auth.keycloak.url': 'the UI takes what quarkus.oidc.auth-server-url says',
  'registry.ui.config.auth.oidc.url': 'the UI takes what quarkus.oidc.auth-server-url says',
  'registry.ui.config.auth.type': 'it follows from quarkus.oidc.tenant-enabled',
};

/** Variables of the environment that 2.6 reads and that are no setting's own name in capitals. */
export const variables: Readonly<Record<string, string>> = {
  ANONYMOUS_READ_ACCESS_ENABLED: 'registry.auth.anonymous-read-access.enabled',
  AUTH_ENABLED: 'registry.auth.enabled',
  CLIENT_CREDENTIALS_BASIC_AUTH_ENABLED: 'registry.auth.basic-auth-client-credentials.enabled',
  CLIENT_CREDENTIALS_BASIC_CACHE_EXPIRATION: 'registry.auth.basic-auth-client-credentials.cache-expiration',
  CORS_ALLOWED_HEADERS: 'quarkus.http.cors.headers',
  CORS_ALLOWED_METHODS: 'quarkus.http.cors.methods',
  CORS_ALLOWED_ORIGINS: 'quarkus.http.cors.origins',
  ENABLE_ACCESS_LOG: 'quarkus.http.access-log.enabled',
  ENABLE_CCOMPAT_CANONICAL_HASH_MODE: 'registry.ccompat.use-canonical-hash',
  ENABLE_CCOMPAT_LEGACY_ID_MODE: 'registry.ccompat.legacy-id-mode.enabled',
  ENABLE_SENTRY: 'registry.enable.sentry',
  HTTP_PORT: 'quarkus.http.port',
  KAFKA_BOOTSTRAP_SERVERS: 'registry.kafkasql.bootstrap.servers',
  KEYCLOAK_API_CLIENT_ID: 'registry.auth.client-id',
  KEYCLOAK_API_CLIENT_SECRET: 'registry.auth.client-secret',
  KEYCLOAK_REALM: 'registry.keycloak.realm',
  KEYCLOAK_UI_CLIENT_ID: 'registry.ui.config.auth.keycloak.clientId',
  KEYCLOAK_URL: 'registry.keycloak.url',
  K_SINK: 'registry.events.ksink',
  LIVENESS_ERRORS_IGNORED: 'registry.liveness.errors.ignored',
  LOG_LEVEL: 'quarkus.log.level',
  ORGANIZATION_ID_CLAIM: 'registry.organization-id.claim-name',
  REGISTRY_ALLOW_DYNAMIC_CONFIG: 'registry.config.dynamic.allow-all',
  REGISTRY_API_ERRORS_INCLUDE_STACKTRACE: 'registry.api.errors.include-stack-in-response',
  REGISTRY_AUTH_ANONYMOUS_READS_ENABLED: 'registry.auth.anonymous-read-access.enabled',
  REGISTRY_AUTH_AUTHENTICATED_READS_ENABLED: 'registry.auth.authenticated-read-access.enabled',
  REGISTRY_AUTH_OBAC_ENABLED: 'registry.auth.owner-only-authorization',
  REGISTRY_AUTH_OBAC_LIMIT_GROUP_ACCESS: 'registry.auth.owner-only-authorization.limit-group-access',
  REGISTRY_AUTH_RBAC_ENABLED: 'registry.auth.role-based-authorization',
  REGISTRY_AUTH_TENANT_OWNER_IS_ADMIN: 'registry.auth.tenant-owner-is-admin.enabled',
  REGISTRY_AUTH_URL_CONFIGURED: 'registry.ui.config.auth.oidc.url',
  REGISTRY_DATASOURCE_PASSWORD: 'quarkus.datasource.password',
  REGISTRY_DATASOURCE_URL: 'quarkus.datasource.jdbc.url',
  REGISTRY_DATASOURCE_USERNAME: 'quarkus.datasource.username',
  REGISTRY_KAFKASQL_TOPIC: 'registry.kafkasql.topic',
  REGISTRY_LOG_LEVEL: 'quarkus.log.category."io.apicurio".level',
  REGISTRY_OIDC_UI_CLIENT_ID: 'registry.ui.config.auth.oidc.client-id',
  REGISTRY_OIDC_UI_REDIRECT_URL: 'registry.ui.config.auth.oidc.redirect-url',
  REGISTRY_OIDC_UI_SCOPE: 'registry.ui.config.auth.oidc.scope',
  REGISTRY_UI_AUTH_TYPE: 'registry.ui.config.auth.type',
  REGISTRY_UI_CONFIG_APIURL: 'registry.ui.config.apiUrl',
  REGISTRY_UI_CONFIG_UI_CONTEXT_PATH: 'registry.ui.config.uiContextPath',
  REGISTRY_UI_FEATURES_READONLY: 'registry.ui.features.readOnly',
  ROLE_BASED_AUTHZ_ENABLED: 'registry.auth.role-based-authorization',
  TOKEN_ENDPOINT: 'registry.auth.token.endpoint',
};
