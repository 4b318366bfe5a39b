/**
 * The format of plan files: which entries they have, in what order, and what the manifest says about each.
 *
 *     NAME.kfplan = zip of manifest.json, plan.json, changes.ndjson, chunks.ndjson, config.json
 *
 * The manifest stands first and holds the SHA-256 of every other entry. All JSON is canonical. A newer minor version may
 * add fields and entries; a newer major one is refused, because what it means is not known here.
 */
import { KeyferryError, planFormat } from '@keyferry/core';
import * as z from 'zod';

export const manifestEntry = 'manifest.json';
export const contentEntries = ['plan.json', 'changes.ndjson', 'chunks.ndjson', 'config.json'] as const;
export type ContentEntry = (typeof contentEntries)[number];

const entry = z.object({ bytes: z.int().min(0), sha256: z.string().regex(/^[0-9a-f]{64}$/) });

export const manifestSchema = z.object({
  format: z.literal(planFormat),
  formatVersion: z.string().regex(/^\d+\.\d+$/),
  keyferryVersion: z.string(),
  entries: z.record(z.string(), entry),
});
export type Manifest = z.output<typeof manifestSchema>;

/** As much of a plan as everything else leans on; its sha256 vouches for the rest. */
export const planSchema = z.looseObject({
  format: z.literal(planFormat),
  formatVersion: z.string(),
  plan: z.string(),
  migration: z.string(),
  strategy: z.enum(['offline', 'dual-read', 'replicate']),
  selection: z.object({ only: z.array(z.string()), exclude: z.array(z.string()) }).nullable(),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
  salt: z.string(),
  configDigest: z.string(),
  rulesDigest: z.string(),
  chunks: z.int().min(0),
  changesListed: z.int().min(0),
  applyable: z.boolean(),
});

export const configSchema = z.looseObject({
  migration: z.string(),
  settings: z.looseObject({}),
  stores: z.record(z.string(), z.looseObject({ kind: z.string() })),
});

export function fileInvalid(file: string, why: string, cause?: unknown): KeyferryError {
  return new KeyferryError('plan.file-invalid', { file, why }, cause === undefined ? {} : { cause });
}

export function versionOf(formatVersion: string): { readonly major: number; readonly minor: number } {
  const [major = 0, minor = 0] = formatVersion.split('.').map(Number);
  return { major, minor };
}
