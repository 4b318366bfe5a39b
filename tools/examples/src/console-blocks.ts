/**
 * Commands in a README: fenced `console` blocks, `$ ` before each command, under it what it prints.
 *
 * `…` stands for anything: at the end of a line or within it for a part of the line, alone on a line for any number of
 * lines. `(exit N)` as the last line states the exit code; without it the command must succeed. Output that is left out
 * altogether is not compared. So documents can show real output without listing every instant and identifier.
 */
export interface DocumentedCommand {
  readonly command: string;
  readonly line: number;
  readonly expected: readonly string[];
  readonly exitCode: number;
}

const exitLine = /^\(exit (\d+)\)$/;

export function parseConsoleBlocks(markdown: string): readonly DocumentedCommand[] {
  const commands: { command: string; line: number; expected: string[]; exitCode: number }[] = [];
  let inBlock = false;
  for (const [i, line] of markdown.split('\n').entries()) {
    if (line.startsWith('```')) {
      inBlock = !inBlock && line.trim() === '```console';
      continue;
    }
    if (!inBlock) continue;
    const last = commands.at(-1);
    const exit = exitLine.exec(line.trim());
    if (line.startsWith('$ ')) commands.push({ command: line.slice(2), line: i + 1, expected: [], exitCode: 0 });
    else if (exit !== null && last !== undefined) last.exitCode = Number(exit[1]);
    else last?.expected.push(line.trimEnd());
  }
  return commands;
}

/** The first expected line that the output does not have in its place; null when all are there, in order. */
export function firstMismatch(expected: readonly string[], output: string): string | null {
  const lines = output.split('\n').map((line) => line.trimEnd());
  let at = 0;
  let anywhere = true; // before the first line, progress and warnings may stand
  for (const want of expected) {
    if (want.trim() === '') continue;
    if (want.trim() === '…') {
      anywhere = true;
      continue;
    }
    const pattern = new RegExp(`^${want.split('…').map(escapePattern).join('.*')}$`);
    let found = at;
    while (found < lines.length && !pattern.test(lines[found] ?? '')) {
      if (!anywhere && (lines[found] ?? '') !== '') return want;
      found += 1;
    }
    if (found >= lines.length) return want;
    at = found + 1;
    anywhere = false;
  }
  return null;
}

function escapePattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
