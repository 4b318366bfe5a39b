/** Public surface: what tests, examples and benchmarks import. */
export { requireServer, serverOrSkip } from './availability.ts';
export type { Availability, AvailableServer, UnavailableServer } from './availability.ts';
export { serverKinds } from './definitions.ts';
export type { ServerKind } from './definitions.ts';
export { ServerError } from './server-error.ts';
export type { ServerErrorCode } from './server-error.ts';

export { startEtcd } from './etcd/start-etcd.ts';
export type { EtcdOptions, EtcdServer } from './etcd/start-etcd.ts';
export type { EtcdMember, RestartOptions } from './etcd/member.ts';
export type { EtcdKind, EtcdVersion } from './etcd/releases.ts';
export { etcdctl, runEtcdctl } from './etcd/etcdctl.ts';
export type { EtcdctlOptions, EtcdctlResult } from './etcd/etcdctl.ts';
export { enableV2Auth, enableV3Auth } from './etcd/auth.ts';
export type { AuthEnabled, AuthOptions } from './etcd/auth.ts';
export { loadV2Keys, v2KeyUrl } from './etcd/load-v2-keys.ts';
export type { LoadOptions, V2Entry } from './etcd/load-v2-keys.ts';

export { startConsul } from './consul/start-consul.ts';
export type { ConsulOptions, ConsulServer } from './consul/start-consul.ts';
export type { ConsulMember } from './consul/server.ts';
export { consulVersions } from './consul/releases.ts';
export type { ConsulKind, ConsulVersion } from './consul/releases.ts';

export { startDynamoDb } from './dynamodb/start-dynamodb.ts';
export type { DynamoDbOptions, DynamoDbServer } from './dynamodb/start-dynamodb.ts';
export { startFaultyDynamoDb } from './dynamodb/faulty-proxy.ts';
export type { DynamoDbFault, FaultyDynamoDb } from './dynamodb/faulty-proxy.ts';

export { startApicurio } from './apicurio/start-apicurio.ts';
export type { ApicurioOptions, ApicurioServer } from './apicurio/start-apicurio.ts';
export { findJava } from './apicurio/java.ts';
export { fillRegistry } from './apicurio/fill-registry.ts';
export type { FillOptions } from './apicurio/fill-registry.ts';
export type { ApicurioVersion } from './apicurio/releases.ts';
export { startHaproxy, startNginx } from './load-balancer/start-load-balancer.ts';
export type { LoadBalancer, LoadBalancerOptions, LoadBalancerPlace } from './load-balancer/start-load-balancer.ts';
export { balancerFields, startRegistryBalancers, type RegistryBalancers } from './load-balancer/registry-balancers.ts';
export type { LoadBalancerKind } from './load-balancer/releases.ts';
export { startPostgres } from './postgres/start-postgres.ts';
export type { PostgresOptions, PostgresServer } from './postgres/start-postgres.ts';
export type { PostgresKind } from './postgres/release.ts';

export { clientRequests, seedRegistry, startRegistryLoad } from './load/registry-clients.ts';
export type {
  LoadFigures,
  RegistryLoad,
  RegistryLoadOptions,
  RegistryRequest,
  SeededRegistry,
} from './load/registry-clients.ts';
export { writeCertificates } from './net/certificates.ts';
export type { CertificateFiles, CertificateOptions } from './net/certificates.ts';
export { clientAgent, request } from './net/request.ts';
export type { ClientTlsFiles, Credentials, Reply, RequestOptions } from './net/request.ts';
export { freePorts } from './process/free-ports.ts';
export { waitUntil } from './process/wait-until.ts';
