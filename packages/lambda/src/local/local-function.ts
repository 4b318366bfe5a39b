/**
 * A function on this machine: as many environments as may work at once, each started when an event finds none idle, and
 * kept for the next one. What is delivered beyond that is refused, as Lambda refuses it.
 */
import { Environment, type EnvironmentOptions, type InvocationEnd } from './environment.ts';

export interface LocalFunctionOptions extends EnvironmentOptions {
  readonly timeoutMs: number;
  /** Environments at once. */
  readonly concurrency: number;
}

export type LocalInvocation = (InvocationEnd | { readonly kind: 'throttled' }) & {
  /** It was started for this event. */
  readonly cold: boolean;
};

export class LocalFunction {
  readonly options: LocalFunctionOptions;
  private readonly idle: Environment[] = [];
  private readonly busy = new Set<Environment>();
  /** Places that are taken by environments which are still being started. */
  private starting = 0;
  private closed = false;

  constructor(options: LocalFunctionOptions) {
    this.options = options;
  }

  /** Those that are at work now. */
  get working(): readonly Environment[] {
    return [...this.busy];
  }

  async invoke(event: unknown = {}): Promise<LocalInvocation> {
    const { concurrency, timeoutMs } = this.options;
    const isFull = this.busy.size + this.starting >= concurrency;
    if (isFull || this.closed) return { kind: 'throttled', cold: false };
    let environment = this.takeIdle();
    const cold = environment === null;
    if (environment === null) {
      this.starting += 1;
      try {
        environment = await Environment.start(this.options);
      } finally {
        this.starting -= 1;
      }
    }
    this.busy.add(environment);
    try {
      return { ...(await environment.invoke(event, timeoutMs)), cold };
    } finally {
      this.busy.delete(environment);
      if (environment.isGone || this.closed) await environment.stop();
      else this.idle.push(environment);
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    await Promise.all([...this.idle.splice(0), ...this.busy].map((environment) => environment.stop()));
  }

  private takeIdle(): Environment | null {
    for (;;) {
      const environment = this.idle.pop();
      if (environment === undefined) return null;
      if (!environment.isGone) return environment;
    }
  }
}
