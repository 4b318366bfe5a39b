/** Failures that are not tried again, because the state remembers how they went and nothing has changed since. */
import type { KeyJson } from '../model/key.ts';
import { entry } from './entry.ts';

export const rememberedCodes = {
  'apply.failed-before': entry<{
    migration: string;
    plan: string;
    source: string;
    at: string;
    /** The first of them, as the target refused them; reason null: the key is sensitive. */
    records: readonly { readonly key: KeyJson; readonly reason: string | null }[];
    recordsTotal: number;
  }>({
    retry: 'never',
    summary:
      'apply of plan {plan} left {recordsTotal} of its records unwritten at {at}, and nothing has changed about them since; nothing was tried again',
    remedy:
      'try them again, once their cause is mended:   keyferry runs retry {migration}\nhave what differs now carried, whatever it is:   keyferry reconcile {migration}',
  }),
  'plan.refused-before': entry<{
    plan: string;
    migration: string;
    source: string;
    at: string;
    findings: readonly string[];
    /** Seen to be so now: one of them, and the key in the source; null: it is about the source as a whole. */
    still: { readonly code: string; readonly key: KeyJson | null };
  }>({
    retry: 'never',
    summary: 'what blocked plan {plan} of {at} is still there; nothing else was read, and nothing was written',
    remedy:
      'solve them in {source} or in the configuration, then:   keyferry apply {migration}\nsee them, read anew:   keyferry plan {migration}',
  }),
};
