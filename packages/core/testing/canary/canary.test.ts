/**
 * Goal: a broken store fails the contract suites, in the tests that are about what is broken, and in no others.
 * Method: the suites run on memory stores with one rule switched off each, in a vitest of their own.
 */
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { CanaryResult } from './vitest.config.ts';

/** Failed tests by the rule that is off: `section: title`. */
const failures = new Map<string, readonly string[]>();
let ran = 0;

beforeAll(async () => {
  const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');
  const config = join(import.meta.dirname, 'vitest.config.ts');
  const stdout = await new Promise<string>((resolve) => {
    // It exits with 1: its tests fail. What counts is what it prints.
    execFile(process.execPath, [vitest, 'run', '--config', config], { maxBuffer: 1 << 26 }, (_, out) => resolve(out));
  });
  for (const { fullName, state } of JSON.parse(stdout) as readonly CanaryResult[]) {
    ran += 1;
    const [suite = '', ...names] = fullName.split(' > ');
    const rule = /^without (\w+)/.exec(suite)?.[1] ?? suite;
    if (state === 'failed') failures.set(rule, [...(failures.get(rule) ?? []), names.join(': ')]);
  }
}, 60_000);

describe('the contract suites', () => {
  it.each([
    { rule: 'absentGuard', failing: /^a put that expects nothing there: finds .* present, equal or not/ },
    { rule: 'versionGuard', failing: /^a put that expects a version: leaves any other version alone/ },
    { rule: 'versionGuard', failing: /^a delete: leaves any other version alone/ },
    { rule: 'restoreGuard', failing: /^restoring: leaves alone what somebody changed, deleted or made anew since/ },
    { rule: 'tombstoneGuard', failing: /^a put that expects nothing there: leaves a tombstoned key alone/ },
    { rule: 'fence', failing: /^a fence: shuts a worker out once a higher one claimed its chunk/ },
    { rule: 'epoch', failing: /^the epoch: once raised shuts out every worker at once/ },
    { rule: 'conditionalState', failing: /^a state item: changes at the version that was seen, and at no other/ },
  ])('notice a store without $rule', ({ rule, failing }) => {
    expect(ran).toBeGreaterThan(400);
    expect(failures.get(rule)).toContainEqual(expect.stringMatching(failing));
  });

  it('blame nothing but what the rule is about', () => {
    const sections = new Set([...failures.values()].flat().map((failure) => failure.split(':')[0]));
    for (const reading of ['a scan', 'a view', 'the head', 'a version', 'an expiry'])
      expect(sections).not.toContain(reading);
  });
});
