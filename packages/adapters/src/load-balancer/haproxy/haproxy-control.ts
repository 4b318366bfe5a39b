/**
 * HAProxy as a load balancer of a migration.
 *
 *     adopt     a candidate beside the file, `haproxy -c`, rename, graceful reload     (the only change of configuration)
 *     shift     the map's file is replaced, then the running process is told          (no reload: no connection is lost)
 *     drain     workers of before gone, and no request that was under way is left
 *
 * The file first: a process that reads it again, for whatever reason, must find the newer phase. What is told to the
 * process only is lost at the next reload, and a file that was not told is not in force: `read` compares both.
 */
import {
  type BalancerState,
  type DrainReceipt,
  KeyferryError,
  type ShiftReceipt,
  type StopSignal,
  type TrafficPhase,
  trafficPhases,
} from '@keyferry/core';
import type { LoadBalancerConfig } from '../balancer-config.ts';
import { type Machine, quote, sha256 } from '../machine.ts';
import { Adoption, notAsWritten, type OriginBytes } from '../origin.ts';
import type { BalancerControl } from '../open-load-balancer.ts';
import type { Prober } from '../probe.ts';
import { throwIfStopped, untilTrue } from '../waiting.ts';
import { adoptText, generatedConfig, type HaproxyNames, mapText, NotUnderstood, phaseKey } from './adopt.ts';
import { Runtime } from './runtime.ts';

export class HaproxyControl implements BalancerControl {
  private readonly names: HaproxyNames;
  private readonly runtime: Runtime;

  private readonly name: string;
  private readonly config: LoadBalancerConfig;
  private readonly machine: Machine;
  private readonly prober: Prober;

  constructor(name: string, config: LoadBalancerConfig, machine: Machine, prober: Prober) {
    this.name = name;
    this.config = config;
    this.machine = machine;
    this.prober = prober;
    const { directory, v2, v3, socket } = config;
    const mapFile = `${directory}/${name}.map`;
    this.names = { mapFile, v2, v3: `keyferry-${name}-v3`, v3Servers: v3.servers, v3Options: v3.options };
    this.runtime = new Runtime(machine, socket ?? '/run/haproxy/admin.sock');
  }

  get paths(): readonly string[] {
    return [this.config.configFile, this.names.mapFile];
  }

  /** Says nothing and changes nothing if adoption is possible. */
  async tryPlan(origin: OriginBytes): Promise<void> {
    const candidate = this.plan(origin);
    await this.withCandidate(candidate, async () => Promise.resolve());
  }

  async adopt(origin: OriginBytes, signal: StopSignal): Promise<void> {
    const { configFile } = this.config;
    const content = this.plan(origin);
    const adoption = new Adoption({ name: this.name, directory: this.config.directory }, this.machine, origin, [
      { path: configFile, content },
    ]);
    await adoption.assertOurs([configFile]);
    const phase = await this.phaseInFile();
    await this.writeMap(phase ?? 'v2-rw', sha256(content));
    await this.withCandidate(content, async () => {
      await adoption.apply(
        async () => {
          throwIfStopped(signal);
          await this.reload(signal);
          const serves = await untilTrue(
            async () => (await this.phaseNow().catch(() => null)) === (phase ?? 'v2-rw'),
            this.config.timeoutMs,
            signal,
          );
          if (!serves)
            throw this.refused(`after the reload ${this.config.url} does not answer in phase ${phase ?? 'v2-rw'}`);
        },
        async () => {
          await this.machine.run(this.config.reload);
        },
      );
    });
  }

  async read(): Promise<BalancerState> {
    const moved = await this.movedFile();
    const inFile = moved === null ? await this.phaseInFile() : null;
    const silent = 'its socket does not answer';
    const told = await this.runtime.mapValue(this.names.mapFile, phaseKey).catch(() => silent);
    const atRuntime = trafficPhases.find((each) => each === told) ?? null;
    const runtime = told === silent ? silent : `the running process ${atRuntime ?? 'no phase of keyferry'}`;
    const differ = inFile !== null && inFile !== atRuntime;
    const drift = moved ?? (differ ? `the map's file says ${inFile}, and ${runtime}` : null);
    return { inFile, atRuntime, drift };
  }

  async shift(phase: TrafficPhase): Promise<Pick<ShiftReceipt, 'sha256Before' | 'sha256After' | 'changed'>> {
    const moved = await this.movedFile();
    if (moved !== null) throw new KeyferryError('balancer.changed', { balancer: this.name, detail: moved });
    const { mapFile } = this.names;
    const before = (await this.machine.read(mapFile)) ?? Buffer.alloc(0);
    const told = await this.runtime.mapValue(mapFile, phaseKey);
    const digest = adoptedIn(before.toString()) ?? '';
    const after = Buffer.from(mapText(phase, this.names, digest));
    const receipt = { sha256Before: sha256(before), sha256After: sha256(after) };
    if (before.equals(after) && told === phase) return { ...receipt, changed: false };
    await this.machine.write(mapFile, after);
    const failed = await this.runtime.setMap(mapFile, phaseKey, phase).then(
      (complaint) => complaint,
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    const served = failed === null && (await untilTrue(() => this.serves(phase), this.config.timeoutMs, null));
    if (served) return { ...receipt, changed: true };
    await this.machine.write(mapFile, before);
    if (told !== null) await this.runtime.setMap(mapFile, phaseKey, told).catch(() => null);
    throw this.refused(failed ?? `${this.config.url} does not answer in phase ${phase}; the phase before is back`);
  }

  async awaitDrained(withinMs: number, signal: StopSignal): Promise<Pick<DrainReceipt, 'drained' | 'left'>> {
    const sides = [this.names.v2, this.names.v3];
    const beganAtMs = performance.now();
    let left: string | null = null;
    const drained = await untilTrue(
      async () => {
        const old = await this.oldWorkers();
        // Ages are whole seconds, so one that may have begun before is taken for one that did.
        const elapsedS = Math.floor((performance.now() - beganAtMs) / 1000);
        const streams = (await this.runtime.streams()).filter(
          ({ backend, ageS }) => sides.includes(backend) && ageS >= elapsedS,
        );
        const parts = [
          ...(old.length === 0 ? [] : [`workers of before: ${old.join(', ')}`]),
          ...sides.flatMap((side) => {
            const count = streams.filter(({ backend }) => backend === side).length;
            return count === 0 ? [] : [`${count} requests under way at ${side}`];
          }),
        ];
        left = parts.length === 0 ? null : parts.join('; ');
        return left === null;
      },
      withinMs,
      signal,
    );
    return { drained, left };
  }

  async restore(origin: OriginBytes, signal: StopSignal): Promise<void> {
    const { configFile } = this.config;
    const content = origin.get(configFile) ?? null;
    const adoption = new Adoption({ name: this.name, directory: this.config.directory }, this.machine, origin, [
      { path: configFile, content },
    ]);
    const written = adoptedIn((await this.machine.read(this.names.mapFile))?.toString() ?? '');
    await adoption.assertOurs([configFile], new Map(written === null ? [] : [[configFile, written]]));
    const takeBack = async (): Promise<void> => {
      await this.machine.run(this.config.reload);
    };
    const take = async (): Promise<void> => {
      if (content !== null) await this.reload(signal);
      const taken = await untilTrue(
        async () => content === null || (await this.phaseNow().catch(() => null)) === null,
        this.config.timeoutMs,
        signal,
      );
      if (!taken) throw this.refused('after the reload it still serves a phase of keyferry');
    };
    if (content === null) await adoption.apply(take, takeBack);
    else await this.withCandidate(content, async () => await adoption.apply(take, takeBack));
    await this.machine.remove([this.names.mapFile]);
    await this.machine.run(`rmdir ${quote(this.config.directory)} 2>/dev/null; true`);
  }

  async findings(): Promise<readonly string[]> {
    try {
      await this.runtime.pid();
      return [];
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return [`${why}; the configuration needs a stats socket with level admin`];
    }
  }

  private plan(origin: OriginBytes): Buffer {
    const { configFile, generate, v2, socket } = this.config;
    const text = origin.get(configFile)?.toString();
    if (text === undefined && generate === null) throw this.refused(`${configFile} is not there`);
    const whole = text ?? generatedConfig(generate?.listen ?? '', v2, generate?.servers ?? [], socket);
    try {
      return Buffer.from(adoptText(whole, this.names));
    } catch (error) {
      if (error instanceof NotUnderstood) throw this.refused(`${configFile}, ${error.message}`, error);
      throw error;
    }
  }

  /** Checks a configuration that stands beside the one in force; a map it names must be there for that. */
  private async withCandidate(content: Buffer, then: () => Promise<void>): Promise<void> {
    const candidate = `${this.config.configFile}.keyferry-candidate`;
    const missing = (await this.machine.read(this.names.mapFile)) === null;
    if (missing) await this.writeMap('v2-rw', sha256(content));
    await this.machine.write(candidate, content);
    let ran;
    try {
      ran = await this.machine.run(`${this.config.program} -c -f ${quote(candidate)}`);
    } finally {
      await this.machine.remove([candidate, ...(missing ? [this.names.mapFile] : [])]);
    }
    if (ran.code !== 0) throw this.refused(ran.stderr);
    await then();
  }

  private async reload(signal: StopSignal): Promise<void> {
    const before = await this.runtime.pid();
    const ran = await this.machine.run(this.config.reload);
    if (ran.code !== 0) throw this.refused(ran.stderr);
    const taken = await untilTrue(
      async () => (await this.runtime.pid().catch(() => before)) !== before,
      this.config.timeoutMs,
      signal,
    );
    if (!taken) throw this.refused('no new worker after the reload; see its log');
  }

  private async writeMap(phase: TrafficPhase, digest: string): Promise<void> {
    await this.machine.write(this.names.mapFile, Buffer.from(mapText(phase, this.names, digest)));
  }

  private async serves(phase: TrafficPhase): Promise<boolean> {
    return (await this.phaseNow()) === phase;
  }

  private async phaseNow(): Promise<TrafficPhase | null> {
    try {
      return (await this.prober.phase()).phase;
    } catch (error) {
      throw this.machine.unreachable(
        `${this.config.url}: ${error instanceof Error ? error.message : String(error)}`,
        error,
      );
    }
  }

  private async phaseInFile(): Promise<TrafficPhase | null> {
    const text = (await this.machine.read(this.names.mapFile))?.toString() ?? '';
    const said = new RegExp(`^${phaseKey} (\\S+)$`, 'm').exec(text)?.[1];
    return trafficPhases.find((each) => each === said) ?? null;
  }

  private async movedFile(): Promise<string | null> {
    const map = await this.machine.read(this.names.mapFile);
    if (map === null) return 'it was not adopted';
    const content = await this.machine.read(this.config.configFile);
    if (content === null) return `${this.config.configFile} is gone`;
    const adopted = adoptedIn(map.toString());
    return sha256(content) === adopted ? null : notAsWritten(this.config.configFile, this.config.directory, adopted);
  }

  /** Children of the master other than the one that serves; none where its process is not known. */
  private async oldWorkers(): Promise<readonly number[]> {
    const master = Number((await this.machine.read(this.config.pidFile))?.toString().trim() ?? '');
    if (!Number.isInteger(master) || master <= 0) return [];
    const serving = await this.runtime.pid();
    return (await this.machine.childrenOf(master)).filter((pid) => pid !== serving);
  }

  private refused(detail: string, cause?: unknown): KeyferryError {
    return new KeyferryError('balancer.refused', { balancer: this.name, detail }, { cause });
  }
}

function adoptedIn(map: string): string | null {
  return /^# adopted ([0-9a-f]{64})$/m.exec(map)?.[1] ?? null;
}
