/** Goal: every code can be looked up. Method: core's lists against what explain knows, and both renderings. */
import { codes, findingCodes } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { allExplanations } from './explanations.ts';
import { plainPalette } from './terminal/palette.ts';
import { explainView } from './views/explain/index.ts';

const context = { palette: plainPalette, nowMs: 0, configFlag: null, holderIsGone: () => false };
const all = allExplanations();

describe('explain', () => {
  it('knows every error and every finding, once', () => {
    const known = all.map(({ code }) => code);
    expect(known.toSorted()).toEqual([...Object.keys(codes), ...Object.keys(findingCodes)].toSorted());
  });
  it('leaves no placeholder open', () => expect(JSON.stringify(all)).not.toMatch(/\{\w+\}/));
  it('tells one in full', () => {
    const one = all.filter(({ code }) => code === 'plan.stale');
    expect(explainView.human(one, context)).toMatchInlineSnapshot(`
      "plan.stale (error): plan PLAN no longer matches the stores; nothing was written
        why     a plan is applied exactly as it was reviewed, or not at all
        exit    3
        retry   asking again gives the same answer
        fix     plan again and review:   keyferry plan MIGRATION --out FILE
      "
    `);
  });
  it('tells a finding in full', () => {
    const one = all.filter(({ code }) => code === 'ttl.dropped');
    expect(explainView.human(one, context)).toMatchInlineSnapshot(`
      "ttl.dropped (finding): the target has no expiry: keys become permanent
        why     what was to vanish by itself would stay for good
        level   warning
        apply   only with --accept ttl.dropped
        fix     choose a target with expiry, or accept it:   keyferry apply FILE --accept ttl.dropped
      "
    `);
  });
  it('lists all of them, one a line', () => {
    expect(explainView.human(all, context).trimEnd().split('\n')).toHaveLength(all.length);
  });
});
