/** The frame of a measured script: options from its argument, one JSON document about the measured part to stdout. */

export interface Measured {
  readonly keys: number;
  readonly wallMs: number;
  readonly cpuSeconds: number;
}

/** What the scripts may be given; each takes what it needs. */
export interface ChildOptions {
  readonly endpoint: string;
  /** Of a second server. */
  readonly targetEndpoint: string;
  readonly keys: number;
  /** Writes a second. */
  readonly rate: number;
  readonly sourceFile: string;
  readonly targetFile: string;
  readonly dataDir: string;
  readonly join: boolean;
  /** Of SQLite. */
  readonly switchFile: string;
  /** Whether a switch leads the application. */
  readonly follows: boolean;
  /** Of rows of PostgreSQL: who sorts them; none: nobody. */
  readonly order: 'server' | 'local' | 'none';
}

export function childOptions(): ChildOptions {
  return JSON.parse(process.argv[2] ?? '{}') as ChildOptions;
}

/** @param work says how many keys it handled; program start and preparation are left out */
export async function measured(work: () => Promise<number>): Promise<void> {
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  const keys = await work();
  const wallMs = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(cpuBefore);
  const result: Measured = { keys, wallMs, cpuSeconds: (user + system) / 1e6 };
  process.stdout.write(JSON.stringify(result));
}
