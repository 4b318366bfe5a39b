/** How wide a terminal shows a text: a wide character counts as two, a colour code as none. */
import { stripVTControlCharacters } from 'node:util';
import stringWidth from 'string-width';

const plainText = /^[\x20-\x7e]*$/;

/** The library knows every character, by rules that take longer to load than all of a short command; most text is ASCII. */
export function visibleWidth(text: string): number {
  const shown = text.includes('\u001b') ? stripVTControlCharacters(text) : text;
  return plainText.test(shown) ? shown.length : stringWidth(text);
}
