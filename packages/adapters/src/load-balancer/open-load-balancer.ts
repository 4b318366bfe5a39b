/**
 * A load balancer as the engine knows it (core's port), of either kind. What both have in common is here: receipts, the
 * origin, probes, logs. What differs is in nginx-control and haproxy-control.
 */
import {
  type ApiUse,
  type BalancerOrigin,
  type BalancerState,
  type DrainReceipt,
  isKeyferryError,
  type LeakReceipt,
  type LoadBalancer,
  type ShiftReceipt,
  type StopSignal,
  type TrafficFigures,
  type TrafficPhase,
} from '@keyferry/core';
import { apiPrefix, Latencies, type LoggedRequest, parseLogLine } from './access-log.ts';
import type { LoadBalancerConfig } from './balancer-config.ts';
import { HaproxyControl } from './haproxy/haproxy-control.ts';
import { Machine, sha256 } from './machine.ts';
import { OriginCopies, type OriginBytes } from './origin.ts';
import { NginxControl } from './nginx/nginx-control.ts';
import { Prober } from './probe.ts';
import { throwIfStopped } from './waiting.ts';

/** What is different between the kinds. */
export interface BalancerControl {
  /** Of files that adoption changes or makes. */
  readonly paths: readonly string[];
  /** @throws {KeyferryError} `balancer.refused` when adoption would be; changes nothing */
  tryPlan(origin: OriginBytes): Promise<void>;
  findings(): Promise<readonly string[]>;
  adopt(origin: OriginBytes, signal: StopSignal): Promise<void>;
  read(): Promise<BalancerState>;
  shift(phase: TrafficPhase): Promise<Pick<ShiftReceipt, 'sha256Before' | 'sha256After' | 'changed'>>;
  awaitDrained(withinMs: number, signal: StopSignal): Promise<Pick<DrainReceipt, 'drained' | 'left'>>;
  restore(origin: OriginBytes, signal: StopSignal): Promise<void>;
}

/** Prefixes and methods that are told apart; anything beyond is no use of an API but somebody trying names. */
const usesMax = 200;

/** Reaches nothing yet. @param name as the configuration calls it */
export function openLoadBalancer(name: string, config: LoadBalancerConfig): LoadBalancer {
  return new ConfiguredBalancer(name, config);
}

class ConfiguredBalancer implements LoadBalancer {
  readonly kind: 'nginx' | 'haproxy';
  readonly url: string;
  readonly where: string;
  private readonly machine: Machine;
  private readonly prober: Prober;
  private readonly copies: OriginCopies;
  private readonly control: BalancerControl;

  readonly name: string;
  private readonly config: LoadBalancerConfig;

  constructor(name: string, config: LoadBalancerConfig) {
    this.name = name;
    this.config = config;
    this.kind = config.kind;
    this.url = config.url;
    this.where = `${config.kind} at ${config.url}`;
    this.machine = new Machine(name, config.access, config.timeoutMs, config.workingDirectory);
    this.prober = new Prober(name, config);
    this.copies = new OriginCopies(name, this.machine, config.directory);
    const Control = config.kind === 'nginx' ? NginxControl : HaproxyControl;
    this.control = new Control(name, config, this.machine, this.prober);
  }

  async readOrigin(): Promise<BalancerOrigin> {
    const files: BalancerOrigin['files'][number][] = [];
    for (const path of this.control.paths) {
      const content = await this.machine.read(path);
      files.push({
        path,
        sha256: content === null ? null : sha256(content),
      });
    }
    return { balancer: this.name, kind: this.kind, files };
  }

  async rehearse(): Promise<readonly string[]> {
    try {
      const found = await this.control.findings();
      // Once adopted, every phase was checked with it.
      if ((await this.control.read()).inFile === null) {
        await this.control.tryPlan(await this.copies.read(await this.readOrigin()));
      }
      return found;
    } catch (error) {
      if (isKeyferryError(error, 'balancer.refused')) return [error.details.detail];
      throw error;
    }
  }

  async adopt(origin: BalancerOrigin, signal: StopSignal): Promise<ShiftReceipt> {
    return await this.receipt('reload', signal, async () => {
      const before = await this.control.read();
      const sha256Before = digestOf(origin);
      const adopted = before.inFile !== null && before.inFile === before.atRuntime;
      if (!adopted) {
        const bytes = await this.copies.read(origin);
        await this.copies.keep(origin);
        await this.control.adopt(bytes, signal);
      }
      await this.copies.keepWritten(await this.readOrigin(), this.config.files);
      const sha256After = digestOf(await this.readOrigin());
      return { phase: before.inFile ?? 'v2-rw', sha256Before, sha256After, changed: !adopted };
    });
  }

  async read(): Promise<BalancerState> {
    return await this.control.read();
  }

  async shift(phase: TrafficPhase, signal: StopSignal): Promise<ShiftReceipt> {
    return await this.receipt('map', signal, async () => ({ phase, ...(await this.control.shift(phase)) }));
  }

  async awaitDrained(withinMs: number, signal: StopSignal): Promise<DrainReceipt> {
    throwIfStopped(signal);
    const beganAtMs = performance.now();
    const answer = await this.control.awaitDrained(withinMs, signal);
    return { balancer: this.name, ...answer, tookMs: Math.round(performance.now() - beganAtMs) };
  }

  async leakTest(phase: TrafficPhase, signal: StopSignal): Promise<LeakReceipt> {
    throwIfStopped(signal);
    return await this.prober.leakTest(phase);
  }

  async traffic(sinceMs: number): Promise<TrafficFigures | null> {
    if (this.config.accessLogs.length === 0) return null;
    const answers = { '2xx': 0, '3xx': 0, '4xx': 0, '405': 0, '5xx': 0 };
    const latencies = new Latencies();
    let requests = 0;
    for await (const { status, tookMs } of this.logged(sinceMs)) {
      requests += 1;
      const kind = status === 405 ? '405' : (`${Math.floor(status / 100)}xx` as keyof typeof answers);
      if (kind in answers) answers[kind] += 1;
      if (tookMs !== null) latencies.add(tookMs);
    }
    const [p50Ms, p99Ms] = [latencies.quantile(0.5), latencies.quantile(0.99)];
    return { balancer: this.name, sinceMs, untilMs: Date.now(), requests, answers, p50Ms, p99Ms };
  }

  async apiUse(sinceMs: number): Promise<readonly ApiUse[] | null> {
    if (this.config.accessLogs.length === 0) return null;
    const uses = new Map<string, { use: ApiUse; clients: Map<string, number> }>();
    for await (const { target, method, atMs, client } of this.logged(sinceMs)) {
      const prefix = apiPrefix(target);
      if (prefix === null) continue;
      const key = `${method} ${prefix}`;
      const found = uses.get(key);
      if (found === undefined && uses.size === usesMax) continue;
      const clients = found?.clients ?? new Map<string, number>();
      if (clients.has(client) || clients.size < usesMax) clients.set(client, (clients.get(client) ?? 0) + 1);
      const { requests = 0, lastAtMs = 0 } = found?.use ?? {};
      const use = { balancer: this.name, prefix, method, requests: requests + 1, lastAtMs: Math.max(lastAtMs, atMs) };
      uses.set(key, { use: { ...use, clients: [] }, clients });
    }
    return [...uses.values()]
      .map(({ use, clients }) => ({ ...use, clients: busiest(clients) }))
      .toSorted((a, b) => b.requests - a.requests);
  }

  async restore(origin: BalancerOrigin, signal: StopSignal): Promise<ShiftReceipt> {
    return await this.receipt('reload', signal, async () => {
      const sha256Before = digestOf(await this.readOrigin());
      const sha256After = digestOf(origin);
      const changed = sha256Before !== sha256After;
      if (changed) await this.control.restore(await this.copies.read(origin), signal);
      await this.copies.remove(origin);
      return { phase: 'v2-rw', sha256Before, sha256After, changed };
    });
  }

  async close(): Promise<void> {
    this.prober.close();
    await Promise.resolve();
  }

  private async *logged(sinceMs: number): AsyncGenerator<LoggedRequest> {
    for (const path of this.config.accessLogs) {
      for await (const line of this.machine.lines(path)) {
        const request = parseLogLine(line);
        if (request !== null && request.atMs >= sinceMs) yield request;
      }
    }
  }

  private async receipt(
    by: ShiftReceipt['by'],
    signal: StopSignal,
    act: () => Promise<Pick<ShiftReceipt, 'phase' | 'sha256Before' | 'sha256After' | 'changed'>>,
  ): Promise<ShiftReceipt> {
    throwIfStopped(signal);
    const beganAtMs = performance.now();
    const done = await act();
    const tookMs = Math.round(performance.now() - beganAtMs);
    return { balancer: this.name, ...done, by, atMs: Date.now(), tookMs };
  }
}

/** Over all files: one that is not there counts as that. */
function digestOf({ files }: BalancerOrigin): string {
  return sha256(files.map((file) => `${file.path} ${file.sha256 ?? '-'}\n`).join(''));
}

/** Clients that are named with each use. */
const clientsNamed = 10;

function busiest(
  clients: ReadonlyMap<string, number>,
): readonly { readonly address: string; readonly requests: number }[] {
  return [...clients]
    .map(([address, requests]) => ({ address, requests }))
    .toSorted((a, b) => b.requests - a.requests)
    .slice(0, clientsNamed);
}
