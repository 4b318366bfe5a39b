/** Timeouts were plain numbers of seconds; from now on they say their unit. Feature flags of last year stay behind. */
import type { RuleModule } from '@keyferry/core';
import { retiredFlags } from './retired-flags.ts';

const decoder = new TextDecoder();
const encoder = new TextEncoder();

export default {
  keepsKeys: true,
  transform(record) {
    const name = record.key.slice(record.key.lastIndexOf('/') + 1);
    if (retiredFlags.has(name)) return { kind: 'dropped' };
    if (name !== 'timeout') return { kind: 'kept', record };
    const seconds = decoder.decode(record.value);
    if (!/^\d+$/.test(seconds)) return { kind: 'failed', why: 'the timeout is not a number of seconds' };
    return { kind: 'kept', record: { ...record, value: encoder.encode(`${seconds}s`) } };
  },
} satisfies RuleModule;
