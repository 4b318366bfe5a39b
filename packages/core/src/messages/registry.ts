/**
 * Messages: everything that the engine has to say while it works, each with a code, a level and a typed payload.
 * Core and engine never print; the CLI renders these, a function logs them, the simulator records them.
 */
import type { ChunkCounts } from '../machines/chunk-lifecycle.ts';

export type Level = 'debug' | 'info' | 'warning';

export interface MessageData {
  /** The image is being sorted, before anything can be compared. */
  'image.sorting': { readonly sourceKeys: number };
  'plan.scanning': { readonly sourceKeys: number; readonly targetKeys: number };
  'apply.checking': { readonly chunksDone: number; readonly chunksTotal: number };
  'apply.started': {
    readonly plan: string;
    readonly run: string;
    readonly attempt: number;
    readonly chunksTotal: number;
    readonly chunksDone: number;
    readonly resumed: boolean;
  };
  'backfill.progress': {
    readonly counts: ChunkCounts;
    /** Records of the plan. */
    readonly total: number;
    readonly chunksDone: number;
    readonly chunksTotal: number;
    readonly elapsedMs: number;
  };
  'chunk.claimed': { readonly chunk: string; readonly worker: string; readonly token: number };
  'chunk.done': { readonly chunk: string; readonly counts: ChunkCounts };
  'chunk.lost': { readonly chunk: string; readonly worker: string; readonly token: number };
  'chunk.moved': { readonly chunk: string };
  'store.retrying': { readonly what: string; readonly code: string; readonly tries: number; readonly waitMs: number };
  'verify.progress': { readonly keys: number };
  'rollback.progress': { readonly removed: number; readonly changed: number };
}
export type MessageCode = keyof MessageData;

export const messageLevels: Readonly<Record<MessageCode, Level>> = {
  'image.sorting': 'info',
  'plan.scanning': 'info',
  'apply.checking': 'info',
  'apply.started': 'info',
  'backfill.progress': 'info',
  'chunk.claimed': 'debug',
  'chunk.done': 'debug',
  'chunk.lost': 'warning',
  'chunk.moved': 'warning',
  'store.retrying': 'warning',
  'verify.progress': 'info',
  'rollback.progress': 'info',
};

export type Message = { [C in MessageCode]: { readonly code: C; readonly data: MessageData[C] } }[MessageCode];
