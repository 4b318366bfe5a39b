/** What a verification says of what applications did, beside its verdict. */
import type { OnlineVerification } from '@keyferry/engine';
import { keyText } from '../layout/keys.ts';
import { counted, countText } from '../layout/numbers.ts';

type Shown = Pick<OnlineVerification, 'rewritten' | 'deleted' | 'strays' | 'straysTotal'>;

/** Null of any other verification. */
export function applicationsPart(verify: object): Shown | null {
  return 'straysTotal' in verify ? (verify as Shown) : null;
}

export function applicationLines(verify: object): string[] {
  const part = applicationsPart(verify);
  if (part === null) return [];
  const { rewritten, deleted, strays, straysTotal } = part;
  const rest = straysTotal - strays.length;
  return [
    `  applications wrote ${counted(rewritten, 'key')} and deleted ${countText(deleted)} in the target since`,
    ...strays.map((key) => `  ! ${keyText(key)}   written in the source after it was frozen`),
    ...(rest > 0 ? [`  and ${countText(rest)} more`] : []),
  ];
}

export function applicationsJson(verify: object): { readonly applications?: Shown } {
  const part = applicationsPart(verify);
  if (part === null) return {};
  const { rewritten, deleted, strays, straysTotal } = part;
  return { applications: { rewritten, deleted, strays, straysTotal } };
}
