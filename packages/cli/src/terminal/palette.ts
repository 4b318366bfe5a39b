/**
 * Colour, decided once for each stream and handed to the views. Meaning never rests on it: every coloured word or
 * symbol says the same without.
 *
 * Order: --color or --no-color, a non-empty NO_COLOR, FORCE_COLOR, then a TTY that is not TERM=dumb.
 */
import { styleText } from 'node:util';

export interface Palette {
  readonly strong: (text: string) => string;
  readonly quiet: (text: string) => string;
  readonly good: (text: string) => string;
  readonly caution: (text: string) => string;
  readonly bad: (text: string) => string;
}

type Format = Parameters<typeof styleText>[0];

const paint =
  (format: Format) =>
  (text: string): string =>
    styleText(format, text, { validateStream: false });
const plain = (text: string): string => text;

export const plainPalette: Palette = { strong: plain, quiet: plain, good: plain, caution: plain, bad: plain };

const colourPalette: Palette = {
  strong: paint('bold'),
  quiet: paint('dim'),
  good: paint('green'),
  caution: paint('yellow'),
  bad: paint('red'),
};

export interface ColourQuestion {
  /** The flag; undefined when it was not given. */
  readonly flag: boolean | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly isTty: boolean;
}

export function wantsColour({ flag, env, isTty }: ColourQuestion): boolean {
  if (flag !== undefined) return flag;
  if ((env['NO_COLOR'] ?? '') !== '') return false;
  const forced = env['FORCE_COLOR'];
  if (forced !== undefined && forced !== '') return forced !== '0' && forced !== 'false';
  return isTty && env['TERM'] !== 'dumb';
}

export function choosePalette(question: ColourQuestion): Palette {
  return wantsColour(question) ? colourPalette : plainPalette;
}
