/**
 * One invocation of any function: the deadline that Lambda gives, the environment, the slice, its log lines and metrics.
 *
 * A handler throws only what whoever called it should see as a failure (and Lambda counts as an error): stores out of
 * reach, no permission, a defect. That an attempt was paused, or that others are at it, is an answer.
 */
import type { Context } from 'aws-lambda';
import type { MigrationSpec } from '@keyferry/core';
import { Deadline, type SliceRequest } from '@keyferry/engine';
import { functionEnvironment, host, type FunctionEnvironment } from './function-environment.ts';
import { count, milliseconds, writeMetrics, type Metric } from './metrics.ts';

export interface Invocation extends SliceRequest {
  readonly environment: FunctionEnvironment;
  readonly spec: MigrationSpec;
  /** For the listing of locks. */
  readonly command: string;
  readonly event: unknown;
}

export interface Answer<T> {
  /** What the function returns. */
  readonly result: T;
  /** What is logged of it. */
  readonly logged: object;
  readonly metrics: Readonly<Record<string, Metric>>;
}

export type FunctionName = 'plan' | 'dispatch' | 'backfill' | 'verify' | 'sweep' | 'tail';

let invocations = 0;

/** A Lambda handler around `work`. */
export function handlerOf<T>(
  name: FunctionName,
  work: (invocation: Invocation) => Promise<Answer<T>>,
): (event: unknown, context: Context) => Promise<T> {
  return async (event, context) => {
    const startedAtMs = performance.now();
    invocations += 1;
    const warm = invocations > 1;
    const { functionName, awsRequestId: requestId } = context;
    const trace = traceId();
    const about = { function: name, requestId, ...(trace === null ? {} : { trace }), warm };
    host.begin({ migration: '', ...about });
    let deadline: Deadline | null = null;
    try {
      const environment = await functionEnvironment(
        import.meta.dirname,
        name === 'plan' ? 'whole migration' : 'plan at hand',
      );
      const { migration, engine, wired, home } = environment;
      host.begin({ migration, ...about });
      deadline = new Deadline(engine.clock, context.getRemainingTimeInMillis());
      const holder = `function ${functionName}, request ${requestId}`;
      const command = `function ${name}`;
      const { result, logged, metrics } = await work({
        environment,
        spec: wired.spec,
        deadline,
        holder,
        home,
        command,
        event,
      });
      const { retries, throttled } = host.counted;
      const elapsedMs = Math.round(performance.now() - startedAtMs);
      host.log('info', `${name}.ended`, { ...logged, elapsedMs, retries });
      const shared = { Retries: count(retries), Throttled: count(throttled), Elapsed: milliseconds(elapsedMs) };
      writeMetrics(host, { Migration: migration, Function: name }, { ...shared, ...metrics });
      return result;
    } catch (error) {
      host.failure(error);
      throw error;
    } finally {
      await deadline?.close();
    }
  };
}

/** Lambda sets it anew for each invocation: `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=…;Sampled=1`. */
function traceId(): string | null {
  return /Root=([^;]+)/.exec(process.env['_X_AMZN_TRACE_ID'] ?? '')?.[1] ?? null;
}
