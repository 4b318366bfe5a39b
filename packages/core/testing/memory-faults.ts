/**
 * Faults that a test plants in a memory store: the next call of an operation fails before its effect (the request was
 * lost) or after it (the answer was lost). The caller cannot tell the two apart; that is the point.
 */
import { KeyferryError } from '../src/index.ts';

export type FaultMoment = 'before' | 'after';

interface Fault<Operation extends string> {
  readonly operation: Operation;
  readonly moment: FaultMoment;
  readonly error: KeyferryError;
}

export class Faults<Operation extends string> {
  private planted: Fault<Operation>[] = [];

  plant(operation: Operation, moment: FaultMoment, error?: KeyferryError): void {
    const unreachable = new KeyferryError('store.unreachable', { store: 'memory', detail: `planted in ${operation}` });
    this.planted.push({ operation, moment, error: error ?? unreachable });
  }

  /** Runs an effect, whole and at once, under the fault that waits for this operation. */
  run<T>(operation: Operation, effect: () => T): T {
    const at = this.planted.findIndex((fault) => fault.operation === operation);
    const fault = at < 0 ? undefined : this.planted.splice(at, 1)[0];
    if (fault?.moment === 'before') throw fault.error;
    const result = effect();
    if (fault !== undefined) throw fault.error;
    return result;
  }
}
