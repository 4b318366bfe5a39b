/**
 * nginx as a load balancer of a migration.
 *
 *     adopt     files, `nginx -t`, graceful reload, the header is seen          (the only change of configuration)
 *     shift     the file of a phase is made, the one before is removed          (no reload: no connection is lost)
 *     drain     where writes were allowed before: a graceful reload, old workers gone
 *
 * A switch is no reload, because a reload closes kept connections under clients. But only a reload proves that the writes
 * that were let in before a freeze have ended: nginx reads a body before it passes the request on, so a slow POST of before
 * may reach 2.x much later, and only the end of the worker that took it says that it has. So `shift` leaves a mark when it
 * leaves a phase that may write, and `awaitDrained` reloads where it finds one; after a crash it is found as well.
 */
import {
  type BalancerState,
  type DrainReceipt,
  isKeyferryError,
  KeyferryError,
  type ShiftReceipt,
  type StopSignal,
  type TrafficPhase,
  trafficPhases,
} from '@keyferry/core';
import type { LoadBalancerConfig } from '../balancer-config.ts';
import { type Machine, quote, sha256 } from '../machine.ts';
import { Adoption, notAsWritten, type FileChange, type OriginBytes } from '../origin.ts';
import type { BalancerControl } from '../open-load-balancer.ts';
import type { Prober } from '../probe.ts';
import { throwIfStopped, untilTrue } from '../waiting.ts';
import { type Adopted, adoptText } from './adopt.ts';
import { NotUnderstood, parseDirectives } from './directives.ts';
import {
  adoptedIn,
  generatedSite,
  headersConf,
  httpConf,
  locationConf,
  phaseFile,
  type SnippetFacts,
  upstreamVariable,
} from './snippets.ts';

export class NginxControl implements BalancerControl {
  private readonly variableName: string;

  private readonly name: string;
  private readonly config: LoadBalancerConfig;
  private readonly machine: Machine;
  private readonly prober: Prober;

  constructor(name: string, config: LoadBalancerConfig, machine: Machine, prober: Prober) {
    this.name = name;
    this.config = config;
    this.machine = machine;
    this.prober = prober;
    this.variableName = name.replaceAll(/[^A-Za-z0-9]/g, '_');
  }

  /** Adopted files and keyferry's own. */
  get paths(): readonly string[] {
    const own = ['http.conf', 'location.conf', 'headers.conf'].map((each) => this.own(each));
    return [...this.config.files, ...own];
  }

  async tryPlan(origin: OriginBytes): Promise<void> {
    await this.plan(origin);
    await this.check();
  }

  /** What adoption will write. @throws {KeyferryError} `balancer.refused` */
  private async plan(origin: OriginBytes): Promise<readonly FileChange[]> {
    const { directory, v2 } = this.config;
    const names = { directory, upstreamVariable: upstreamVariable(this.variableName), v2 };
    const outside = await this.headersOutside();
    const adopted: (Adopted & { readonly path: string })[] = [];
    for (const [index, path] of this.config.files.entries()) {
      const text = origin.get(path)?.toString() ?? this.generated(path);
      try {
        adopted.push({ path, ...adoptText(text, names, index === 0, outside) });
      } catch (error) {
        if (error instanceof NotUnderstood) throw this.refused(`${path}, ${error.message}`, error);
        throw error;
      }
    }
    if (adopted.every(({ locations }) => locations === 0)) {
      throw this.refused(`no location of ${this.config.files.join(', ')} has proxy_pass http://${v2}`);
    }
    const group = adopted.find(({ upstream }) => upstream !== null)?.upstream ?? null;
    const facts: SnippetFacts = {
      name: this.variableName,
      directory,
      v2,
      v2Servers: group === null ? [v2] : null,
      v3Servers: this.config.v3.servers,
      v3Options: this.config.v3.options ?? '',
      groupLines: group ?? [],
      adopted: new Map(adopted.map(({ path, text }) => [path, sha256(text)])),
    };
    const file = (path: string, text: string): FileChange => ({ path, content: Buffer.from(text) });
    return [
      file(this.own('location.conf'), locationConf(facts)),
      file(this.own('headers.conf'), headersConf(facts)),
      file(this.own('http.conf'), httpConf(facts)),
      ...adopted.map(({ path, text }) => file(path, text)),
    ];
  }

  async adopt(origin: OriginBytes, signal: StopSignal): Promise<void> {
    const changes = await this.plan(origin);
    const adoption = new Adoption({ name: this.name, directory: this.config.directory }, this.machine, origin, changes);
    await adoption.assertOurs(this.config.files);
    const phase = (await this.phasesInFiles()).at(-1) ?? 'v2-rw';
    await this.machine.write(phaseFile(this.config.directory, phase), Buffer.from(`${phase}\n`));
    await adoption.apply(async () => {
      await this.check();
      throwIfStopped(signal);
      const before = await this.workers();
      await this.reload();
      const serves = await untilTrue(
        async () => (await this.phaseNow()) === phase && !(await this.workers()).every((pid) => before.includes(pid)),
        this.config.timeoutMs,
        signal,
      );
      if (!serves) throw this.refused(`after the reload ${this.config.url} does not answer in phase ${phase}`);
    }, this.takeBack);
  }

  async read(): Promise<BalancerState> {
    const now = await this.phaseNow().catch(() => null);
    const moved = await this.movedFiles();
    const phases = await this.phasesInFiles();
    const inFile = moved === null && phases.length === 1 ? (phases[0] ?? null) : null;
    const atRuntime = now;
    const differ = inFile !== null && atRuntime !== inFile;
    const runtime = atRuntime ?? 'no phase of keyferry';
    const drift =
      moved ??
      (phases.length > 1 ? `files of several phases: ${phases.join(', ')}` : null) ??
      (differ ? `the files say ${inFile}, and the running process serves ${runtime}` : null);
    return { inFile, atRuntime, drift };
  }

  async shift(phase: TrafficPhase): Promise<Pick<ShiftReceipt, 'sha256Before' | 'sha256After' | 'changed'>> {
    const moved = await this.movedFiles();
    if (moved !== null) throw new KeyferryError('balancer.changed', { balancer: this.name, detail: moved });
    const { directory } = this.config;
    const before = await this.phasesInFiles();
    const sha256After = sha256(`${phase}\n`);
    const sha256Before = sha256(`${before.at(-1) ?? ''}\n`);
    const others = before.filter((each) => each !== phase);
    if (others.length === 0 && before.length === 1) return { sha256Before, sha256After, changed: false };
    if (others.some((each) => each.endsWith('-rw'))) {
      await this.machine.write(this.own('undrained'), Buffer.from(`${others.join(' ')}\n`));
    }
    await this.machine.write(phaseFile(directory, phase), Buffer.from(`${phase}\n`));
    await this.machine.remove(others.map((each) => phaseFile(directory, each)));
    if (await untilTrue(async () => (await this.phaseNow()) === phase, this.config.timeoutMs, null)) {
      return { sha256Before, sha256After, changed: true };
    }
    for (const each of others) await this.machine.write(phaseFile(directory, each), Buffer.from(`${each}\n`));
    if (others.length > 0) await this.machine.remove([phaseFile(directory, phase)]);
    throw this.refused(`${this.config.url} does not answer in phase ${phase}; the phase before is back`);
  }

  async awaitDrained(withinMs: number, signal: StopSignal): Promise<Pick<DrainReceipt, 'drained' | 'left'>> {
    if ((await this.machine.read(this.own('undrained'))) === null) return { drained: true, left: null };
    const before = await this.workers();
    await this.check();
    await this.reload();
    let left = before;
    const gone = await untilTrue(
      async () => {
        const now = await this.workers();
        left = before.filter((pid) => now.includes(pid));
        return left.length === 0 && now.length > 0;
      },
      withinMs,
      signal,
    );
    if (!gone) return { drained: false, left: `workers of before: ${left.join(', ')}` };
    await this.machine.remove([this.own('undrained')]);
    return { drained: true, left: null };
  }

  async restore(origin: OriginBytes, signal: StopSignal): Promise<void> {
    const files = this.config.files.map((path) => ({ path, content: origin.get(path) ?? null }));
    const adoption = new Adoption({ name: this.name, directory: this.config.directory }, this.machine, origin, files);
    const http = (await this.machine.read(this.own('http.conf')))?.toString() ?? '';
    await adoption.assertOurs(this.config.files, adoptedIn(http));
    const before = await this.workers();
    await adoption.apply(async () => {
      await this.check();
      await this.reload();
      const taken = await untilTrue(
        async () => (await this.phaseNow().catch(() => null)) === null,
        this.config.timeoutMs,
        signal,
      );
      if (!taken) throw this.refused('after the reload it still serves a phase of keyferry');
    }, this.takeBack);
    // Old workers look at the files of phases until they end.
    await untilTrue(
      async () => !(await this.workers()).some((pid) => before.includes(pid)),
      this.config.timeoutMs,
      signal,
    );
    const own = ['http.conf', 'location.conf', 'headers.conf', 'undrained'].map((each) => this.own(each));
    await this.machine.remove([...own, ...trafficPhases.map((each) => phaseFile(this.config.directory, each))]);
    await this.machine.run(`rmdir ${quote(this.config.directory)} 2>/dev/null; true`);
  }

  /** @throws {KeyferryError} `balancer.refused` with what nginx says */
  private async check(): Promise<void> {
    const ran = await this.machine.run(`${this.config.program} -t`);
    if (ran.code !== 0) throw this.refused(ran.stderr);
  }

  /** keyferry's own directory can be written, and processes can be told apart. */
  async findings(): Promise<readonly string[]> {
    const found: string[] = [];
    if ((await this.workers()).length === 0) {
      found.push(`no worker of the process in ${this.config.pidFile} is seen: a drain could not be proven`);
    }
    return found;
  }

  /** The files of before are there again; where they were valid, the process takes them again. */
  private readonly takeBack = async (): Promise<void> => {
    const ran = await this.machine.run(`${this.config.program} -t`);
    if (ran.code === 0) await this.machine.run(this.config.reload);
  };

  private generated(path: string): string {
    const { generate, v2 } = this.config;
    if (generate === null) throw this.refused(`${path} is not there`);
    return generatedSite(generate.listen, v2, generate.servers);
  }

  /** Of the whole configuration, as nginx itself puts it together. */
  private async headersOutside(): Promise<boolean> {
    const ran = await this.machine.run(`${this.config.program} -T 2>/dev/null`);
    if (ran.code !== 0) return false; // it is invalid already, which the check will say
    try {
      const http = parseDirectives(ran.stdout.toString()).filter(({ name }) => name === 'http');
      return http.some(({ block }) => block?.some(({ name }) => name === 'add_header'));
    } catch (error) {
      if (error instanceof NotUnderstood) return false; // in a file that is not adopted
      throw error;
    }
  }

  private async movedFiles(): Promise<string | null> {
    const http = await this.machine.read(this.own('http.conf'));
    if (http === null) return 'it was not adopted';
    const adopted = adoptedIn(http.toString());
    for (const path of this.config.files) {
      const content = await this.machine.read(path);
      if (content === null) return `${path} is gone`;
      const written = adopted.get(path) ?? null;
      if (sha256(content) !== written) return notAsWritten(path, this.config.directory, written);
    }
    return null;
  }

  private async phasesInFiles(): Promise<readonly TrafficPhase[]> {
    const paths = trafficPhases.map((phase) => quote(phaseFile(this.config.directory, phase)));
    const { stdout } = await this.machine.run(`for f in ${paths.join(' ')}; do [ -e "$f" ] && echo "$f"; done; true`);
    const found = new Set(stdout.toString().split('\n'));
    return trafficPhases.filter((phase) => found.has(phaseFile(this.config.directory, phase)));
  }

  private async phaseNow(): Promise<TrafficPhase | null> {
    try {
      return (await this.prober.phase()).phase;
    } catch (error) {
      if (isKeyferryError(error, 'balancer.unreachable')) throw error;
      throw this.machine.unreachable(
        `${this.config.url}: ${error instanceof Error ? error.message : String(error)}`,
        error,
      );
    }
  }

  private async reload(): Promise<void> {
    const ran = await this.machine.run(this.config.reload);
    if (ran.code !== 0) throw this.refused(ran.stderr);
  }

  private async workers(): Promise<readonly number[]> {
    const pid = Number((await this.machine.read(this.config.pidFile))?.toString() ?? '');
    return Number.isInteger(pid) && pid > 0 ? await this.machine.childrenOf(pid) : [];
  }

  private own(file: string): string {
    return `${this.config.directory}/${file}`;
  }

  private refused(detail: string, cause?: unknown): KeyferryError {
    return new KeyferryError('balancer.refused', { balancer: this.name, detail }, { cause });
  }
}
