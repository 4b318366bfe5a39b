import { relative, resolve, sep } from 'node:path';

/** As people who run keyferry from the checkout know it; plans and errors show it. */
export function shortPath(directory: string, path: string): string {
  const absolute = resolve(directory, path);
  const short = relative('', absolute);
  return short === '' || short.startsWith(`..${sep}`) || short === '..' ? absolute : short;
}
