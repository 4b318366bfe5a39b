/**
 * Goal: no secret gets out, whichever way, and colour is decided by the stated order.
 * Method: a canary through every door of the output; the colour question as a table.
 */
import { describe, expect, it } from 'vitest';
import { withoutSilenced } from './node-warnings.ts';
import { Output } from './output.ts';
import { choosePalette, plainPalette, wantsColour } from './palette.ts';

const canary = 'canary-s3cr3t';

describe('the output', () => {
  const open = () => {
    const written: string[] = [];
    const stream = { write: (text: string) => written.push(text) };
    const output = new Output(stream, stream);
    output.addRedactor((text) => text.replaceAll(canary, '[redacted]'));
    return { output, written };
  };

  it('lets no secret out by any door', () => {
    const { output, written } = open();
    output.result(`result ${canary}`);
    output.note(`note ${canary}`);
    output.json({ [canary]: canary, list: [`a ${canary}`], deep: { text: `${canary}\n"` } });
    written.push(output.clean(canary), JSON.stringify(output.cleanDeep({ a: canary })));
    expect(written.join('')).not.toContain(canary);
    expect(written.join('').match(/\[redacted\]/g)).toHaveLength(8);
  });

  it('keeps numbers, nulls and the order of members', () => {
    const { output, written } = open();
    output.json({ b: 1, a: null, c: [true, 1.5] });
    expect(written.join('')).toBe(`${JSON.stringify({ b: 1, a: null, c: [true, 1.5] }, null, 2)}\n`);
  });

  it('ends each text with one newline', () => {
    const { output, written } = open();
    output.result('a');
    output.result('b\n');
    output.result('');
    expect(written.join('')).toBe('a\nb\n');
  });
});

describe('colour', () => {
  it.each([
    ['the flag beats all', { flag: false, env: { FORCE_COLOR: '1' }, isTty: true }, false],
    ['the flag beats NO_COLOR', { flag: true, env: { NO_COLOR: '1' }, isTty: false }, true],
    ['NO_COLOR beats FORCE_COLOR', { flag: undefined, env: { NO_COLOR: '1', FORCE_COLOR: '1' }, isTty: true }, false],
    ['an empty NO_COLOR says nothing', { flag: undefined, env: { NO_COLOR: '' }, isTty: true }, true],
    ['FORCE_COLOR makes colour in a pipe', { flag: undefined, env: { FORCE_COLOR: '1' }, isTty: false }, true],
    ['FORCE_COLOR=0 is a no', { flag: undefined, env: { FORCE_COLOR: '0' }, isTty: true }, false],
    ['a pipe has none', { flag: undefined, env: {}, isTty: false }, false],
    ['a dumb terminal has none', { flag: undefined, env: { TERM: 'dumb' }, isTty: true }, false],
  ])('%s', (_, question, want) => {
    expect(wantsColour(question)).toBe(want);
    expect(choosePalette(question) === plainPalette).toBe(!want);
  });

  it('changes no letter of a text', () => {
    const { bad } = choosePalette({ flag: true, env: {}, isTty: false });
    expect(bad('x')).toBe('\u001b[31mx\u001b[39m');
  });
});

describe('warnings of Node', () => {
  it('come through, but for the one on IP addresses of TLS servers', () => {
    const seen: unknown[][] = [];
    const emit = withoutSilenced((...args: unknown[]) => void seen.push(args));
    emit('ip', 'DeprecationWarning', 'DEP0123');
    emit('ip', { code: 'DEP0123' });
    emit('other', 'DeprecationWarning', 'DEP0999');
    emit('plain');
    expect(seen).toEqual([['other', 'DeprecationWarning', 'DEP0999'], ['plain']]);
  });
});
