/**
 * Reads as much of nginx's configuration language as adoption needs: directives with their words, blocks and places in the
 * text, so that a change can be made at one place and every other byte stays.
 *
 * Files whose language is another one inside a block (Lua) are refused rather than misread.
 */
export interface Directive {
  readonly name: string;
  /** Without their quotes. */
  readonly words: readonly string[];
  /** Counted from 1. */
  readonly line: number;
  /** Index of the first character, and behind the `;` or the `}`. */
  readonly start: number;
  readonly end: number;
  /** Places of each word, quotes included. */
  readonly places: readonly { readonly start: number; readonly end: number }[];
  /** What is between the braces; null: it has none. */
  readonly block: readonly Directive[] | null;
  /** Behind the `{`; -1 without a block. */
  readonly inside: number;
}

/** What is not understood, and where. */
export class NotUnderstood extends TypeError {
  readonly line: number;

  constructor(line: number, what: string) {
    super(`line ${line}: ${what}`);
    this.line = line;
  }
}

/** @throws {NotUnderstood} */
export function parseDirectives(text: string): readonly Directive[] {
  const reader = new Reader(text);
  const directives = reader.block(false);
  return directives;
}

class Reader {
  private at = 0;
  private line = 1;

  private readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  block(nested: boolean): readonly Directive[] {
    const directives: Directive[] = [];
    for (;;) {
      this.skipSpace();
      if (this.at >= this.text.length) {
        if (nested) throw new NotUnderstood(this.line, 'the file ends inside a block');
        return directives;
      }
      if (this.text[this.at] === '}') {
        if (!nested) throw new NotUnderstood(this.line, 'a } without its {');
        this.at += 1;
        return directives;
      }
      directives.push(this.directive());
    }
  }

  private directive(): Directive {
    const { line, at: start } = this;
    const words: string[] = [];
    const places: { start: number; end: number }[] = [];
    for (;;) {
      this.skipSpace();
      const next = this.text[this.at];
      if (next === undefined) throw new NotUnderstood(line, 'a directive without its ;');
      if (next === ';' || next === '{') break;
      if (next === '}') throw new NotUnderstood(this.line, 'a directive without its ;');
      const from = this.at;
      words.push(next === '"' || next === "'" ? this.quoted(next) : this.word());
      places.push({ start: from, end: this.at });
    }
    const [name = '', ...rest] = words;
    if (name === '') throw new NotUnderstood(line, 'a directive without a name');
    const opens = this.text[this.at] === '{';
    this.at += 1;
    if (opens && name.endsWith('_by_lua_block')) throw new NotUnderstood(line, `${name}: Lua is not read`);
    const inside = opens ? this.at : -1;
    const block = opens ? this.block(true) : null;
    return { name, words: rest, line, start, end: this.at, places: places.slice(1), block, inside };
  }

  private quoted(quote: string): string {
    const { line } = this;
    let word = '';
    for (this.at += 1; ; this.at += 1) {
      const next = this.text[this.at];
      if (next === undefined) throw new NotUnderstood(line, 'a quote without its end');
      if (next === quote) break;
      if (next === '\n') this.line += 1;
      if (next === '\\') {
        this.at += 1;
        const escaped = this.text[this.at] ?? '';
        word += escaped === quote || escaped === '\\' ? escaped : `\\${escaped}`;
      } else {
        word += next;
      }
    }
    this.at += 1;
    return word;
  }

  /** `${name}` is one word although it has braces, and `{` inside a regular expression must be quoted, as nginx itself wants. */
  private word(): string {
    const from = this.at;
    for (; this.at < this.text.length; this.at += 1) {
      const next = this.text[this.at] ?? '';
      if (next === '$' && this.text[this.at + 1] === '{') {
        const close = this.text.indexOf('}', this.at);
        if (close < 0) throw new NotUnderstood(this.line, 'a ${ without its }');
        this.at = close;
      } else if (next === '\\') {
        this.at += 1;
      } else if (/[\s;{]/.test(next)) {
        break;
      }
    }
    return this.text.slice(from, this.at);
  }

  private skipSpace(): void {
    for (; this.at < this.text.length; this.at += 1) {
      const next = this.text[this.at] ?? '';
      if (next === '#') {
        const end = this.text.indexOf('\n', this.at);
        this.at = end < 0 ? this.text.length : end;
      }
      if (this.text[this.at] === '\n') this.line += 1;
      else if (!/\s/.test(this.text[this.at] ?? ' ')) return;
    }
  }
}
