/** Several instances of an application, each a process; what they say that they did is the oracle of what must be there. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { InstanceOrder, InstanceTally } from './instance.ts';

const program = fileURLToPath(new URL('./instance.ts', import.meta.url));

interface Instance {
  readonly child: ChildProcess;
  readonly ended: Promise<InstanceTally>;
  operations: number;
}

export class InstanceProcesses {
  private readonly instances: Instance[];
  private readonly counter: string;

  constructor(orders: readonly InstanceOrder[], env: NodeJS.ProcessEnv) {
    this.instances = orders.map((order) => startInstance(order, env));
    this.counter = orders[0]?.counter ?? '';
  }

  /** Until every instance has done so many rounds more. @throws when one has ended meanwhile */
  async goOn(rounds: number): Promise<void> {
    const until = this.instances.map(({ operations }) => operations + rounds);
    const ended = this.instances.map(async (each) => {
      await each.ended;
      throw new TypeError('an instance ended before it was told to');
    });
    for (const each of ended) each.catch(() => undefined); // told by the race
    while (this.instances.some(({ operations }, i) => operations < (until[i] ?? 0))) {
      await Promise.race([sleep(20), ...ended]);
    }
  }

  /** Has them leave in good order. @returns all that must be there now */
  async end(): Promise<ReadonlyMap<string, string>> {
    for (const { child } of this.instances) child.stdin?.end();
    const tallies = await Promise.all(this.instances.map(({ ended }) => ended));
    const records = new Map(tallies.flatMap(({ own }) => own));
    return records.set(this.counter, String(tallies.reduce((sum, { counted }) => sum + counted, 0)));
  }

  kill(): void {
    for (const { child } of this.instances) child.kill('SIGKILL');
  }
}

function startInstance(order: InstanceOrder, env: NodeJS.ProcessEnv): Instance {
  const args = ['--conditions=keyferry-source', program, JSON.stringify(order)];
  const child = spawn(process.execPath, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
  let [tally, stderr]: [InstanceTally | null, string] = [null, ''];
  const lines = createInterface({ input: child.stdout });
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = new Promise<InstanceTally>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      if (tally !== null && code === 0) resolve(tally);
      else reject(new TypeError(`instance ${order.name} ended with ${code}: ${stderr}`));
    });
  });
  ended.catch(() => undefined); // whoever waits for it is told
  const instance: Instance = { child, ended, operations: 0 };
  lines.on('line', (line) => {
    const told = JSON.parse(line) as { operations?: number; tally?: InstanceTally };
    instance.operations = told.operations ?? instance.operations;
    tally = told.tally ?? tally;
  });
  return instance;
}
