/** Does a record hold U+FFFD, which a store of text puts in place of bytes that are not UTF-8? */
import type { StoredRecord } from '../model/record.ts';

const replacement = [0xef, 0xbf, 0xbd] as const;
const replacementInKey = String.fromCharCode(...replacement);

export function holdsReplacement({ key, value }: Pick<StoredRecord, 'key' | 'value'>): boolean {
  if (key.includes(replacementInKey)) return true;
  const [first, second, third] = replacement;
  for (let at = value.indexOf(first); at >= 0; at = value.indexOf(first, at + 1)) {
    if (value[at + 1] === second && value[at + 2] === third) return true;
  }
  return false;
}
