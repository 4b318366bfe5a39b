/** The application of children/application.ts as a process, and what must be there after what it was answered. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { EtcdServer } from '@keyferry/servers';
import type { ChildOptions } from '../children/measured.ts';
import type { TimedRequest } from '../measure/spans.ts';
import { pagesOf } from './fill-v3.ts';
import { records } from './records.ts';
import { endpointOf } from './servers.ts';

export interface ApplicationRun {
  readonly writes: readonly TimedRequest[];
  /** What was last written of each key that was; null: a delete. All were answered. */
  readonly last: readonly (readonly [key: string, value: string | null])[];
  readonly writesPerSecond: number;
}

export interface ApplicationSettings {
  readonly source: EtcdServer;
  readonly target: EtcdServer;
  readonly keys: number;
  readonly rate: number;
  /** The switch of a migration; otherwise `hold` and `lead` do. */
  readonly follows: boolean;
}

export const instanceCount = 4;
const program = new URL('../children/application.ts', import.meta.url).pathname;

export class BenchApplication implements AsyncDisposable {
  private readonly child: ChildProcess;
  private readonly lines: AsyncIterator<string>;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>) {
    this.child = child;
    this.lines = lines;
  }

  /** It works from then on. */
  static async start({ source, target, keys, rate, follows }: ApplicationSettings): Promise<BenchApplication> {
    const options: Partial<ChildOptions> = {
      endpoint: endpointOf(source),
      targetEndpoint: endpointOf(target),
      keys,
      rate,
      follows,
    };
    const child = spawn(process.execPath, [program, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'inherit'] });
    const application = new BenchApplication(child, createInterface({ input: child.stdout })[Symbol.asyncIterator]());
    await application.hear('ready');
    return application;
  }

  /** Until no write is under way. */
  async hold(): Promise<void> {
    this.child.stdin?.write('hold\n');
    await this.hear('held');
  }

  lead(instance: number): void {
    this.child.stdin?.write(`lead ${instance}\n`);
  }

  async end(): Promise<ApplicationRun> {
    this.child.stdin?.end();
    return JSON.parse(await this.hear()) as ApplicationRun;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL');
    return Promise.resolve();
  }

  /** @throws when it has ended, or says something else */
  private async hear(word?: string): Promise<string> {
    const line = await this.lines.next();
    if (line.done === true) throw new Error('the application ended before it was told to');
    if (word !== undefined && line.value !== word) throw new Error(`the application said ${line.value}`);
    return line.value;
  }
}

export interface Losses {
  /** Keys whose last answered put is not what is there. */
  readonly lost: number;
  /** Keys whose last answered operation was a delete, and which are there. */
  readonly resurrected: number;
}

/** Of all keys that were there in the beginning, in the store that is primary in the end. */
export async function lossesOf(run: ApplicationRun, keys: number, primary: EtcdServer): Promise<Losses> {
  const wanted = new Map<string, string | null>();
  for (const { key, value } of records(keys)) wanted.set(key, value);
  for (const [key, value] of run.last) wanted.set(key, value);
  const found = await everything(endpointOf(primary));
  let [lost, resurrected] = [0, 0];
  for (const [key, value] of wanted) {
    const there = found.get(key) ?? null;
    if (there === value) continue;
    if (value === null) resurrected += 1;
    else lost += 1;
  }
  return { lost, resurrected };
}

async function everything(endpoint: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for await (const page of pagesOf(endpoint)) for (const { key, value } of page) found.set(key, value);
  return found;
}
