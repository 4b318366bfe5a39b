/** Bodies that do not compress, so that they are too large for one item. */
import { createHash } from 'node:crypto';

/** About 700 KB as it is kept, in three parts. Every line begins with `name`: a mix of two would show. */
export function largeBody(name: string): { readonly text: string } {
  const lines = Array.from({ length: 11_000 }, (_, i) => {
    const noise = createHash('sha512').update(`${name} ${i}`).digest('base64');
    return `${name} ${noise}`;
  });
  return { text: lines.join('\n') };
}

/** The names that lines begin with. */
export function namesIn(body: { readonly text: string }): ReadonlySet<string> {
  return new Set(body.text.split('\n').map((line) => line.split(' ')[0] ?? ''));
}
