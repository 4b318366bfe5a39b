/**
 * Turns what a registry answers besides 2xx into keyferry's codes. Sources: the answers of 2.6.13 and 3.3.3, both of which
 * name an exception of theirs in `name` and say it in `message` (2.6) or `title` (3.x).
 */
import { escapeControls, KeyferryError } from '@keyferry/core';
import type { HttpAnswer } from '../../http/answer.ts';

const bodyBytesMax = 64 * 1024;
const quotedMax = 200;

export interface Refusal {
  readonly status: number;
  readonly doing: string;
  /** `GroupNotFoundException`; null: it did not say. */
  readonly name: string | null;
  readonly message: string;
}

/** Reads the body of an answer that is no success. */
export async function readRefusal(answer: HttpAnswer): Promise<Refusal> {
  const { status, doing } = answer;
  const body = (await answer.read(bodyBytesMax))?.toString('utf8') ?? '';
  return { status, doing, ...parseRefusal(body) };
}

/** What the body of a refusal says. */
export function parseRefusal(body: string): Pick<Refusal, 'name' | 'message'> {
  const { name, message, title } = membersOf(body);
  const text = [message, title].find((each) => typeof each === 'string') ?? body;
  return { name: typeof name === 'string' ? name : null, message: quote(text) };
}

export function refusalError(store: string, { status, doing, message }: Refusal): KeyferryError {
  return new KeyferryError(codeOf(status), { store, detail: `${doing} was answered ${status}: ${message}` });
}

function codeOf(status: number) {
  if (status === 401) return 'store.auth-failed';
  if (status === 403) return 'store.permission-denied';
  if (status === 429) return 'store.throttled';
  if (status === 502 || status === 503) return 'store.unreachable';
  if (status === 504) return 'store.timeout';
  // A proxy that sends one elsewhere is no registry; 500 is one that could not.
  return status >= 400 ? 'store.request-refused' : 'store.answer-unexpected';
}

/** For answers that came with 2xx and still cannot be right. */
export function unexpected(store: string, doing: string, what: string): KeyferryError {
  return new KeyferryError('store.answer-unexpected', { store, detail: `${doing}: ${what}` });
}

function membersOf(body: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(body);
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {};
  } catch {
    return {}; // a page of a proxy's
  }
}

/** One line, short and without control characters. */
function quote(body: string): string {
  const line = escapeControls(body.replaceAll(/\s+/g, ' ').trim());
  if (line === '') return 'an empty body';
  return line.length > quotedMax ? `${line.slice(0, quotedMax)}…` : line;
}
