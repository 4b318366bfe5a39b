/** Which files can be modules of rules: ECMAScript modules, in TypeScript whose types can be left out or in JavaScript. */
const extensions = ['.ts', '.mts', '.js', '.mjs'] as const;

export const moduleWords = `the path of a module (${extensions.join(', ')})`;

export const isModulePath = (path: string): boolean => extensions.some((extension) => path.endsWith(extension));
