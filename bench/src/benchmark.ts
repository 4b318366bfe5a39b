/** What a benchmark is, and what it hands back: raw samples by round; the report makes medians of them. */

export interface BenchmarkOptions {
  readonly rounds: number;
  readonly keys: number;
  /** Progress, for whoever waits. */
  readonly note: (text: string) => void;
}

export interface Benchmark {
  /** Unless given on the command line. */
  readonly rounds: number;
  readonly keys: number;
  run(options: BenchmarkOptions): Promise<BenchmarkResult>;
}

export interface BenchmarkResult {
  /** In words: what was moved or read. */
  readonly workload: string;
  /** Exact commands, those of the peers above all; programs by name, without their folders. */
  readonly commands: Readonly<Record<string, string>>;
  readonly series: readonly Series[];
  readonly ratios: readonly Ratio[];
  readonly versions: Readonly<Record<string, string>>;
  readonly notMeasured: readonly string[];
}

export interface Series {
  readonly name: string;
  readonly unit: 'ms' | 'keys' | 'keys/s' | 'MiB' | 'CPU s' | 'requests';
  /** One a round, in the order in which they were taken. */
  readonly samples: readonly number[];
}

export interface Ratio {
  readonly name: string;
  /** One a round: both sides of each were taken in the same round. */
  readonly samples: readonly number[];
  readonly wanted: { readonly atLeast: number } | { readonly atMost: number } | null;
}

/** Gathers samples by name, in the order in which names first appear. */
export class Samples {
  private readonly byName = new Map<string, { unit: Series['unit']; samples: number[] }>();

  add(name: string, unit: Series['unit'], sample: number): void {
    const known = this.byName.get(name);
    if (known === undefined) this.byName.set(name, { unit, samples: [sample] });
    else known.samples.push(sample);
  }

  of(name: string): readonly number[] {
    return this.byName.get(name)?.samples ?? [];
  }

  series(): readonly Series[] {
    return [...this.byName].map(([name, { unit, samples }]) => ({ name, unit, samples }));
  }

  /** `above` / `below`, round by round. */
  ratio(name: string, above: string, below: string, wanted: Ratio['wanted']): Ratio {
    const divisors = this.of(below);
    return { name, samples: this.of(above).map((sample, i) => sample / (divisors[i] ?? Number.NaN)), wanted };
  }
}
