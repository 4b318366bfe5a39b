/**
 * A view: one result, two renderers. Both are pure, so that every screen and every document is a string or an object
 * that a test can hold against a snapshot; nothing here prints.
 */
import { keyferryVersion } from '@keyferry/adapters/version';
import type { Palette } from '../terminal/palette.ts';

export interface ViewContext {
  readonly palette: Palette;
  /** For times that are told relative to now. */
  readonly nowMs: number;
  /** The configuration file, where the next command has to name it; null else. */
  readonly configFlag: string | null;
  /** Whether the process of a holder (of a lock) is known to have ended. False also where nobody here can know. */
  readonly holderIsGone: (holder: string) => boolean;
}

/** A JSON document: the envelope first, then its own members. */
export interface Envelope {
  readonly format: string;
  readonly formatVersion: string;
  readonly keyferryVersion: string;
  readonly warnings: readonly string[];
}

export interface View<T> {
  readonly human: (result: T, context: ViewContext) => string;
  readonly json: (result: T, warnings: readonly string[]) => Envelope;
}

const formatVersion = '1.0';

export function envelope<Body extends object>(
  format: string,
  warnings: readonly string[],
  body: Body,
): Envelope & Body {
  return { format, formatVersion, keyferryVersion: keyferryVersion(), warnings, ...body };
}
