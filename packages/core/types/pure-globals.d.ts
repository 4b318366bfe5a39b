/**
 * The only globals beyond ECMAScript that core may name: all are pure and exist in every runtime.
 * Naming them here, instead of taking the DOM, worker or Node types, keeps clocks, timers and I/O out of core.
 */
declare class TextEncoder {
  readonly encoding: string;
  encode(input?: string): Uint8Array<ArrayBuffer>;
  encodeInto(source: string, destination: Uint8Array): { read: number; written: number };
}

declare class TextDecoder {
  constructor(label?: string, options?: { readonly fatal?: boolean; readonly ignoreBOM?: boolean });
  readonly encoding: string;
  readonly fatal: boolean;
  readonly ignoreBOM: boolean;
  decode(input?: ArrayBuffer | ArrayBufferView, options?: { readonly stream?: boolean }): string;
}

/** Base64 of a string of code units 0 to 255. */
declare function btoa(latin1: string): string;

/** Throws when the text is no base64. */
declare function atob(base64: string): string;

/** A type only, for the ports: core hands it on and never makes one. Outside core it is the runtime's own. */
interface AbortSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
}

/** ECMAScript "JSON.parse source text access", in Node since 22 and not yet in TypeScript's library. */
interface JSON {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown;
  rawJSON(text: string): object;
  isRawJSON(value: unknown): boolean;
}
