/** Reads that both releases answer in one form: rules, contents with their references. */
import { createHash } from 'node:crypto';
import type { StopSignal } from '@keyferry/core';
import { contentRecord, defaultGroup, ruleRecord, type RegistryRecord } from '../records/records.ts';
import { readRefusal, refusalError } from './errors.ts';
import { pathPart, type RegistryApi } from './registry-api.ts';
import * as shapes from './shapes.ts';

/** @param owner nothing: the global ones; group and artifact, or a group alone (3.x) */
export async function readRules(
  api: RegistryApi,
  owner: readonly [] | readonly [group: string] | readonly [group: string | null, artifact: string],
  signal: StopSignal,
): Promise<readonly RegistryRecord[]> {
  const [group, artifact] = owner;
  const parts = owner.length === 0 ? [] : [group ?? defaultGroup, ...(artifact === undefined ? [] : [artifact])];
  const [inGroup = '', inArtifact] = parts;
  const path =
    parts.length === 0
      ? '/admin/rules'
      : `/groups/${pathPart(inGroup)}${inArtifact === undefined ? '' : `/artifacts/${pathPart(inArtifact)}`}/rules`;
  const records: RegistryRecord[] = [];
  for (const type of await api.get(path, shapes.ruleTypes, signal)) {
    const { config } = await api.get(`${path}/${pathPart(type)}`, shapes.rule, signal);
    records.push(ruleRecord([...parts, type], config));
  }
  return records;
}

/**
 * Bytes pass through a digest, and are never whole in memory.
 * @param draft path of a version, for a content that only a DRAFT of 3.x has: by its id such a one is not found
 */
export async function contentOf(
  api: RegistryApi,
  contentId: number,
  signal: StopSignal,
  draft?: string,
): Promise<RegistryRecord> {
  const at = draft ?? `/ids/contentIds/${contentId}`;
  const references = await api.get(`${at}/references`, shapes.references, signal);
  const path = draft === undefined ? at : `${draft}/content`;
  const content = await api.readAgain({ path }, signal, async (answer) => {
    if (answer.status !== 200) throw refusalError(api.store, await readRefusal(answer));
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const piece of answer.pieces()) {
      hash.update(piece);
      bytes += piece.byteLength;
    }
    return { bytes, sha256: hash.digest('hex') };
  });
  return contentRecord(contentId, { ...content, references });
}
