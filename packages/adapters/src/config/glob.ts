/**
 * Globs over keys: `*` and `?` stay within a segment between slashes, `**` crosses them, `[abc]` and `{a,b}` as usual,
 * `\` takes the meaning from what follows. `/config/db/**` matches what is under it, and `/config/db` itself.
 *
 * Why our own: globs of files leave out names that start with a dot, segments such as `..` and line ends. A key may
 * hold all of them, and one that is left out of `sensitive` would be shown.
 */
type Matcher = (text: string) => boolean;

export function compileGlob(glob: string): Matcher {
  const pattern = new RegExp(`^${translate(glob)}$`, 'su');
  return (text) => pattern.test(text);
}

const tokens = /\/\*\*(?=\/|$)|\*\*\/|\*\*|\*|\?|\[(?:!|\^)?\]?[^\]]*\]|\\.|[{},]|[\s\S]/gu;

function translate(glob: string): string {
  // Braces without their partner are plain characters.
  const closed = glob.split('{').length === glob.split('}').length;
  let depth = 0;
  return glob.replace(tokens, (token) => {
    switch (token) {
      case '/**':
        return '(?:/.*)?';
      case '**/':
        return '(?:.*/)?';
      case '**':
        return '.*';
      case '*':
        return '[^/]*';
      case '?':
        return '[^/]';
      case '{':
        if (!closed) return String.raw`\{`;
        depth += 1;
        return '(?:';
      case '}':
        if (depth === 0) return String.raw`\}`;
        depth -= 1;
        return ')';
      case ',':
        return depth > 0 ? '|' : ',';
      default:
        if (token.length > 2 && token.startsWith('[')) return characterClass(token);
        return escaped(token.length === 2 && token.startsWith('\\') ? token.slice(1) : token);
    }
  });
}

function characterClass(token: string): string {
  const negated = token[1] === '!' || token[1] === '^';
  const members = token.slice(negated ? 2 : 1, -1).replaceAll(/[\\[\]^]/g, String.raw`\$&`);
  return `[${negated ? '^/' : ''}${members}]`;
}

const escaped = (text: string): string => text.replaceAll(/[\^$\\.*+?()[\]{}|/]/g, String.raw`\$&`);
