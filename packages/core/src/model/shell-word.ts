/**
 * A word of a command that keyferry prints to be pasted: quoted for a POSIX shell where it needs that. A plan file may
 * be called `my plan.kfplan`, and a command that breaks it in two would fail, or do something else.
 */
export function shellWord(word: string): string {
  return /^[\w./@%+=:,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
