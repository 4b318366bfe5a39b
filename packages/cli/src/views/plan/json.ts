/**
 * The plan as a document. It is the plan file's own, less what only apply and verify need and what would help to guess
 * values: the salt of its digests, the digests of what is kept or deleted, and those of sensitive keys.
 */
import type { PlanDocument, PlannedChange } from '@keyferry/core';
import { envelope, type Envelope } from '../view.ts';
import type { PlanResult } from './result.ts';

export function planJson({ plan, file }: PlanResult, warnings: readonly string[]): Envelope {
  return envelope('keyferry.plan', warnings, { file, ...planBody(plan) });
}

export function planBody(plan: PlanDocument) {
  const { format: _format, formatVersion: _version, keyferryVersion: _keyferry, ...rest } = plan;
  const { salt: _salt, exceptions: _exceptions, deletions: _deletions, ...body } = rest;
  return { ...body, lookFirst: plan.lookFirst.map(changeJson) };
}

export function changeJson(row: PlannedChange) {
  if (!row.sensitive) return row;
  return { ...row, digest: null, target: row.target === null ? null : { ...row.target, digest: null } };
}
