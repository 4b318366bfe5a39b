/** Goal: what must never leave the loopback interface, and what turns TLS and ACLs on, is decided in one place. */
import { describe, expect, it } from 'vitest';
import { consulArguments, consulConfig, consulEnvironment, type ConsulFlags, type ServerPlan } from './arguments.ts';

const first: ServerPlan = { name: 'm1', dataDir: '/data/m1', httpPort: 8500, rpcPort: 8300, gossipPort: 8301 };
const second: ServerPlan = { name: 'm2', dataDir: '/data/m2', httpPort: 8600, rpcPort: 8400, gossipPort: 8401 };
const plain: ConsulFlags = { version: '1.8', tls: undefined, managementToken: undefined, extraConfig: {} };
const files = { serverCertFile: 's.pem', serverKeyFile: 's.key', caFile: 'ca.pem' } as never;

describe('consulArguments', () => {
  it('names loopback addresses only, and joins the others and not itself', () => {
    const args = consulArguments(first, [first, second]);
    expect(args.filter((arg) => arg.includes('join'))).toEqual(['-retry-join=127.0.0.1:8401']);
    expect(args).toContain('-bootstrap-expect=2');
    expect(consulConfig(first, plain)).toMatchObject({ bind_addr: '127.0.0.1', client_addr: '127.0.0.1' });
  });
});

describe('consulConfig', () => {
  it('serves https alone with TLS, and asks for a certificate where that is wanted', () => {
    const config = consulConfig(first, { ...plain, tls: { files, clientCertAuth: true } });
    expect(config).toMatchObject({ ports: { http: -1, https: 8500 }, verify_incoming_https: true, cert_file: 's.pem' });
  });

  it('denies by default once there is a management token', () => {
    expect(consulConfig(first, plain)).not.toHaveProperty('acl');
    const config = consulConfig(first, { ...plain, managementToken: 't' });
    expect(config).toMatchObject({ acl: { enabled: true, default_policy: 'deny', tokens: { master: 't' } } });
  });

  it('opens no port for gRPC, by the names that the version knows', () => {
    expect(consulConfig(first, plain)).toMatchObject({ ports: { grpc: -1 } });
    expect(consulConfig(first, plain)).not.toHaveProperty('ports.grpc_tls');
    expect(consulConfig(first, { ...plain, version: '1.15', managementToken: 't' })).toMatchObject({
      ports: { grpc: -1, grpc_tls: -1 },
      acl: { tokens: { initial_management: 't' } },
    });
  });

  it('lets further configuration win', () => {
    expect(consulConfig(first, { ...plain, extraConfig: { limits: { kv_max_value_size: 1 } } })).toMatchObject({
      limits: { kv_max_value_size: 1 },
    });
  });
});

describe('consulEnvironment', () => {
  it('keeps variables that act as options away from the server', () => {
    expect(consulEnvironment({ PATH: '/bin', CONSUL_HTTP_TOKEN: 'x' })).toEqual({ PATH: '/bin' });
  });
});
