/**
 * Goal: commands and flags change on purpose only: scripts depend on them.
 * Method: all of them as one document, held against snapshots/commands.json (`vitest run --update` writes it anew).
 */
import type { Command } from '@oclif/core';
import { describe, expect, it } from 'vitest';
import commands from './command-table.ts';
import { outputFlags } from './flags/output.ts';

const table: Readonly<Record<string, Command.Class>> = commands;

interface AnyFlag {
  readonly char?: string;
  readonly type: string;
  readonly options?: readonly string[];
  readonly env?: string;
  readonly default?: unknown;
  readonly required?: boolean;
  readonly multiple?: boolean;
  readonly allowNo?: boolean;
}

/** Only what is not as usual, so that a change stands out. */
const flagFacts = ({ char, type, options, env, default: usual, required, multiple, allowNo }: AnyFlag) => ({
  type,
  ...(char === undefined ? {} : { char }),
  ...(options === undefined ? {} : { options }),
  ...(env === undefined ? {} : { env }),
  ...(usual === undefined ? {} : { default: usual }),
  ...(required === true ? { required } : {}),
  ...(multiple === true ? { multiple } : {}),
  ...(allowNo === true ? { allowNo } : {}),
});
const flagsOf = (flags: object | undefined): [string, AnyFlag][] =>
  Object.entries(flags ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1));
const factsOf = (flags: object | undefined) =>
  Object.fromEntries(flagsOf(flags).map(([name, flag]) => [name, flagFacts(flag)]));

describe('the commands', () => {
  it('are those of snapshots/commands.json', async () => {
    const own = Object.entries(table).map(([id, { summary, args, flags }]) => [
      id.replaceAll(':', ' '),
      {
        summary,
        args: Object.entries(args).map(([name, { required }]) => (required === true ? name : `${name}?`)),
        flags: factsOf(flags),
      },
    ]);
    const document = { everywhere: factsOf(outputFlags), commands: Object.fromEntries(own) as object };
    // Lists that fit on one line are on one, as the formatter of this repository writes them.
    const text = JSON.stringify(document, null, 2).replace(
      /^(.*)\[\s+([^[\]{}]*?)\s+\](,?)$/gm,
      (whole, before: string, items: string, after: string) => {
        const line = `${before}[${items.replace(/\s*\n\s*/g, ' ')}]${after}`;
        return line.length <= 120 ? line : whole;
      },
    );
    await expect(`${text}\n`).toMatchFileSnapshot('../snapshots/commands.json');
  });

  it('keep to the conventions', () => {
    for (const [id, command] of Object.entries(table)) {
      expect(id.split(':').length, `${id}: two levels at most`).toBeLessThanOrEqual(2);
      expect(Object.keys(command.args).length, `${id}: one argument at most`).toBeLessThanOrEqual(1);
      expect(command.summary, `${id} has a summary`).toBeTruthy();
      for (const [name, flag] of flagsOf({ ...command.baseFlags, ...command.flags })) {
        expect(['', 'c', 'o', 'q', 'v', 'h', 'y'], `${id} -${flag.char}`).toContain(flag.char ?? '');
        const variable = `KEYFERRY_${name.replaceAll('-', '_').toUpperCase()}`;
        expect(flag.env ?? variable).toBe(variable);
        expect(name, `${id} --${name}`).not.toMatch(/password|secret|token|force|target(?!-(kind|p99)$)/);
      }
    }
  });
});
