/** Goal: a wrong call is answered with what is wrong and the near name. Method: the parser's errors by their shape. */
import { describe, expect, it } from 'vitest';
import { hasFlag, wantsJson } from './early-flags.ts';
import { codedError } from './failure.ts';
import { durationMs } from './flags/duration.ts';
import commandNotFound, { nearestCommand } from './hooks/command-not-found.ts';
import { fromParserError, isAboutFlag } from './usage-error.ts';

/** Near: one letter short. */
const nearest = (name: string, known: readonly string[]): string | null =>
  known.find((each) => each.startsWith(name.slice(0, -1)) && Math.abs(each.length - name.length) < 2) ?? null;
const parsed = (message: string, more: object): Error => Object.assign(new RangeError(message), more);
const details = (error: Error) => fromParserError(error, 'plan', ['timeout', 'json'], nearest).details;

describe('wrong calls', () => {
  it('names an unknown flag and the near one, without its value', () => {
    expect(details(parsed('Nonexistent flag', { flags: ['--timeou=hunter2'] }))).toEqual({
      what: 'keyferry plan has no flag --timeou',
      fix: 'did you mean --timeout?\nsee:   keyferry plan --help',
    });
  });
  it('names a missing argument', () => {
    expect(details(parsed('Missing 1 required arg', { args: [{ name: 'migration' }] })).what).toBe(
      'MIGRATION is missing',
    );
  });
  it('names an argument too many', () => {
    expect(details(parsed('Unexpected argument', { args: ['b'] })).what).toBe('b is one argument too many');
  });
  it("passes on the parser's sentence, without its pointer to help", () => {
    const message = 'Expected --progress=x to be one of: auto, live\nSee more help with --help';
    expect(details(parsed(message, {})).what).toBe('Expected --progress=x to be one of: auto, live');
  });
  it("tells the parser's complaints of a flag from other failures", () => {
    const complaint = parsed('Flag --out expects a value', { oclif: { exit: 2 } });
    expect([isAboutFlag(complaint), details(complaint).what]).toEqual([true, '--out expects a value']);
    expect(isAboutFlag(parsed('Flag --out expects a value', {}))).toBe(false);
    expect(isAboutFlag(parsed('Flags are red', { oclif: { exit: 2 } }))).toBe(false);
  });
  it.each([
    ['plann:config', 'plan'],
    ['locks:lisr', 'locks:list'],
    ['zzz', null],
  ])('%s is near %s', (id, want) => expect(nearestCommand(id, ['plan', 'locks:list'], nearest)).toBe(want));
});

describe('a command that is not there', () => {
  it('is suggested a near one, exits 64 and is never run', async () => {
    const options = { id: 'plann:config', argv: [], config: { commandIDs: ['plan', 'locks:list'] } };
    await expect(commandNotFound.call({} as never, options as never)).rejects.toMatchObject({
      code: 'usage.invalid',
      details: {
        what: 'keyferry has no command plann',
        fix: 'did you mean:   keyferry plan\nlist them:   keyferry help',
      },
      oclif: { exit: 64 },
    });
  });
});

it('help for a command that there is not is a wrong call too', () => {
  const error = codedError(new Error('Command plann not found.'), 'plann');
  expect(error).toMatchObject({ code: 'usage.invalid', details: { what: 'keyferry has no command plann' } });
});

describe('durations', () => {
  it.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['10m', 600_000],
    ['1.5h', 5_400_000],
  ])('%s', (text, want) => expect(durationMs(text)).toBe(want));
  it.each(['10', '', 's', '10 minutes', '-1s'])('%o is refused', (text) =>
    expect(() => durationMs(text)).toThrow(expect.objectContaining({ code: 'usage.invalid' })),
  );
});

describe('flags before they are parsed', () => {
  it('end at --', () => {
    expect(hasFlag(['plan', '--json'], '--json')).toBe(true);
    expect(hasFlag(['plan', '--', '--json'], '--json')).toBe(false);
    expect(wantsJson(['plan', '--', '--json'])).toBe(false);
  });
});
