/**
 * How the engine stops what it started. These, and what core may name, are its only globals beyond ECMAScript:
 * without the Node types no timer, clock or store can slip in past the ports, and the simulator keeps owning time.
 */
interface AbortSignal {
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
  throwIfAborted(): void;
}

declare const AbortSignal: { any(signals: Iterable<AbortSignal>): AbortSignal };

declare class AbortController {
  readonly signal: AbortSignal;
  abort(reason?: unknown): void;
}
