/** What the sections of strategy `parallel` mean: defaults filled in, units in the names, null for what is not set. */
import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { canonicalJson, type ParallelPhase } from '@keyferry/core';
import type { LoadBalancerConfig } from '../load-balancer/balancer-config.ts';
import type { CheckedBalancer, CheckedParallel, CheckedRegistry } from './parallel-fields.ts';
import type { AuthConfig, SecretReference, TlsConfig } from './resolved-config.ts';

export interface RegistryConfig {
  readonly kind: 'apicurio-2' | 'apicurio-3';
  readonly endpoints: readonly string[];
  readonly tls: TlsConfig | null;
  readonly auth: AuthConfig | null;
  readonly oidc: {
    readonly tokenUrl: string;
    readonly clientId: string;
    readonly clientSecret: SecretReference;
    readonly scope: string | null;
  } | null;
  readonly health: string | null;
  /** Null: the adapter's own default. */
  readonly requestTimeoutMs: number | null;
  readonly transferTimeoutMs: number | null;
}

/** As its adapter takes it, with the one path of this machine as it is written: relative to the configuration. */
export interface BalancerConfig extends Omit<LoadBalancerConfig, 'caFile'> {
  readonly ca: string | null;
}

export interface ParallelConfig {
  readonly source: { readonly store: string };
  readonly target: { readonly store: string };
  readonly balancers: readonly string[];
  readonly confirm: readonly ParallelPhase[];
  readonly freeze: { readonly maxMs: number; readonly drainMs: number; readonly bulk: boolean };
  readonly repair: boolean;
  readonly losses: readonly string[];
  /** As written: relative to the file where it is a path. */
  readonly smoke: readonly string[] | null;
  readonly soak: {
    readonly lengthMs: number;
    readonly everyMs: number;
    readonly gapMaxMs: number;
    readonly errorShareMax: number;
    readonly p99MaxMs: number | null;
  };
  /** Variables or properties of 2.x, as written: relative to the file. Null: nobody said. */
  readonly settings: string | null;
  /** Null: a directory of the migration's name beside the state. */
  readonly workspace: string | null;
  readonly planMaxAgeMs: number;
}

/** As in a shell: a name without a slash is looked for, a path is beside the configuration. */
export function programBeside(directory: string, program: string): string {
  return program.includes('/') ? resolve(directory, program) : program;
}

export function resolveRegistry(store: CheckedRegistry): RegistryConfig {
  const { kind, endpoints, tls, auth, oidc, health = null } = store;
  return {
    kind,
    endpoints,
    tls:
      tls === undefined
        ? null
        : { ca: tls.ca ?? null, cert: tls.cert ?? null, key: tls.key ?? null, serverName: tls.serverName ?? null },
    auth: auth ?? null,
    oidc: oidc === undefined ? null : { ...oidc, scope: oidc.scope ?? null },
    health,
    requestTimeoutMs: store.requestTimeout ?? null,
    transferTimeoutMs: store.transferTimeout ?? null,
  };
}

export function resolveBalancer(checked: CheckedBalancer): BalancerConfig {
  const { ca = null, access = null, socket = null, generate = null, timeout: timeoutMs, v3, files, ...rest } = checked;
  return {
    ...rest,
    ca,
    access,
    program: checked.program ?? checked.kind,
    files: files.length === 0 ? [checked.configFile] : files,
    socket,
    v3: { servers: v3.servers, options: v3.options ?? null },
    generate,
    timeoutMs,
  };
}

export function resolveParallel(checked: CheckedParallel): ParallelConfig {
  const { source, target, balancers, confirm, freeze, repair, losses, soak } = checked;
  const { length: lengthMs, every: everyMs, gapMax: gapMaxMs, errorShareMax, p99 = null } = soak;
  return {
    source,
    target,
    balancers,
    confirm,
    freeze: { maxMs: freeze.max, drainMs: freeze.drain, bulk: freeze.bulk },
    repair,
    losses,
    smoke: checked.smoke ?? null,
    soak: { lengthMs, everyMs, gapMaxMs, errorShareMax, p99MaxMs: p99 },
    settings: checked.settings ?? null,
    workspace: checked.workspace ?? null,
    planMaxAgeMs: checked.plan.maxAge,
  };
}

/**
 * SHA-256, in hexadecimal digits, of what decides where traffic and records go. How long a soak lasts, how long a plan is good
 * for, and which settings 3.x is told, may be changed on the way.
 */
export function parallelDigest(
  migration: string,
  { soak: _howLong, planMaxAgeMs: _howOld, workspace: _where, settings: _made, ...config }: ParallelConfig,
  stores: Readonly<Record<string, unknown>>,
  balancers: Readonly<Record<string, unknown>>,
): string {
  return createHash('sha256').update(canonicalJson({ migration, config, stores, balancers })).digest('hex');
}
