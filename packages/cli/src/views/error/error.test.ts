/**
 * Goal: every failure takes one form that says what to do, and none shows more than it may.
 * Method: whole errors as snapshots, then the promises one by one; all codes of core go through both renderers.
 */
import { codes, KeyferryError, type Code, type ConfigIssue } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { codedError, reportOf } from '../../failure.ts';
import { plainPalette } from '../../terminal/palette.ts';
import { withoutSecrets } from './config-issues.ts';
import { errorHuman } from './human.ts';
import { errorJson } from './json.ts';
import type { ErrorReport } from './report.ts';

const call = { command: 'apply', argument: 'jm.kfplan', accept: [], verbose: false, logFile: null, configFlag: null };
const human = (error: KeyferryError, more: Partial<ErrorReport> = {}): string =>
  errorHuman({ ...reportOf(error, call), ...more }, plainPalette);

describe('an error for people', () => {
  it('says what happened, the facts, why, the fix and where to read more', () => {
    const error = new KeyferryError('lease.held', {
      migration: 'jm-store2-to-store3',
      lock: 'lck_01JD9',
      holder: 'deploy@ci-17, pid 4711 [3f1c9a2e.4026531836.8812345]',
      run: 'run_01JD9',
      heartbeatAgoMs: 4000,
    });
    expect(human(error)).toMatchInlineSnapshot(`
      "Error lease.held: jm-store2-to-store3 is being applied by someone else
        holder   deploy@ci-17, pid 4711, run run_01JD9, last heartbeat 4 s ago
        lock     lck_01JD9
        why      one run at a time may write a migration; nothing was written
        fix      wait:         keyferry apply jm.kfplan --lock-timeout 10m
                 it is dead:   keyferry locks break lck_01JD9 --reason "why"
        more     keyferry explain lease.held
      "
    `);
  });

  it('lists the keys that moved', () => {
    const keys = [
      { key: { text: '/config/a' }, what: 'changed in the source' },
      { key: { text: '/config/routes/b' }, what: 'gone from the target' },
    ];
    const error = new KeyferryError('plan.stale', { plan: 'pln_1', migration: 'm', keys, keysTotal: 12 });
    expect(human(error, { configFlag: 'x.yaml' })).toMatchInlineSnapshot(`
      "Error plan.stale: plan pln_1 no longer matches the stores; nothing was written
        moved    /config/a          changed in the source
                 /config/routes/b   gone from the target
                 and 10 more
        why      a plan is applied exactly as it was reviewed, or not at all
        fix      plan again and review:   keyferry plan m --out jm.kfplan -c x.yaml
        more     keyferry explain plan.stale
      "
    `);
  });

  it('names the records that were left, without what a store says of a sensitive one', () => {
    const records = [
      { key: { text: 'app/a' }, reason: 'its table\nwould keep other bytes' },
      { key: { text: 'app/password' }, reason: null },
    ];
    const facts = { migration: 'jm', plan: 'pln_1', source: 'store2', at: '2026-11-21T06:30:00.000Z' };
    const error = new KeyferryError('apply.failed-before', { ...facts, records, recordsTotal: 3 });
    const page = human(error);
    expect(page).toContain('app/a          its table\\u000awould keep other bytes');
    expect(page).toContain('app/password   (sensitive)');
    expect(page).toContain('and 1 more');
    const still = { code: 'value.too-large', key: { text: 'app/a' } };
    const refused = new KeyferryError('plan.refused-before', { ...facts, findings: ['value.too-large'], still });
    expect(human(refused)).toContain('still so   value.too-large   app/a');
  });

  it('points into a configuration file, all issues at once, the same cause once', () => {
    const issue = (path: string, message: string, line: number, column: number): ConfigIssue => ({
      path,
      message,
      line,
      column,
      suggestion: null,
    });
    const issues = [
      issue('stores.old.knd', 'unknown key', 3, 10),
      issue('migrations.m.source.stor', 'is missing', 7, 5),
      issue('migrations.n.source.stor', 'is missing', 9, 5),
    ];
    const configText = [
      'version: 1',
      'stores:',
      '  old: { knd: file, password: hunter2 }',
      '',
      '',
      '',
      '    source: {}',
    ].join('\n');
    const error = new KeyferryError('config.invalid', { file: 'keyferry.yaml', issues });
    expect(human(error, { configText })).toMatchInlineSnapshot(`
      "Error config.invalid: the configuration keyferry.yaml is not valid; nothing was read or written
        keyferry.yaml:3:10   stores.old.knd: unknown key
          3 |   old: { knd: file, password: *** }
            |          ^
        keyferry.yaml:7:5   migrations.m.source.stor: is missing
          7 |     source: {}
            |     ^
        keyferry.yaml:9:5   migrations.n.source.stor: the same
        fix      correct the lines shown, then:   keyferry validate --config keyferry.yaml
        more     keyferry explain config.invalid
      "
    `);
  });

  it.each([
    ['apply', 'm', 'fix      go on:   keyferry apply m'],
    ['plan', 'm', 'fix      run it again:   keyferry plan m'],
  ])('knows what an interrupted %s is to be followed by', (command, argument, want) => {
    const error = new KeyferryError('run.interrupted', { migration: 'm', signal: 'SIGINT' });
    expect(human(error, { command, argument })).toContain(want);
  });

  it('says that a reading command wrote nothing', () => {
    const error = new KeyferryError('run.interrupted', { migration: 'm', signal: 'SIGINT' });
    expect(human(error, { command: 'plan' })).toContain('keyferry plan was stopped by SIGINT; nothing was written');
  });

  it('says that a question which was interrupted led to nothing', () => {
    const cause = Object.assign(new RangeError('closed'), { name: 'ExitPromptError' });
    const page = human(codedError(cause, 'm'), { command: 'rollback', argument: 'm' });
    expect(page).toContain('keyferry rollback was stopped before it was approved; nothing was written');
    expect(page).toContain('run it again:   keyferry rollback m');
  });

  it.each([
    [null, 130],
    ['SIGTERM', 143],
    ['timeout', 6],
  ])('and its exit code is that of what ended it: %s, %i', (stopped, want) => {
    const cause = Object.assign(new RangeError('closed'), { name: 'AbortPromptError' });
    expect(reportOf(codedError(cause, 'm', stopped), call).exitCode).toBe(want);
  });

  it('names each finding to accept', () => {
    const error = new KeyferryError('plan.unaccepted', { plan: 'pln_1', findings: ['ttl.dropped', 'x.y'] });
    expect(human(error)).toContain('keyferry apply jm.kfplan --accept ttl.dropped --accept x.y');
  });

  it('quotes a plan file, and names again what was accepted', () => {
    const again = { argument: 'my plan.kfplan', accept: ['ttl.dropped'] };
    const held = new KeyferryError('lease.held', {
      migration: 'm',
      lock: 'lck_1',
      holder: 'h',
      run: 'run_1',
      heartbeatAgoMs: 1,
    });
    expect(human(held, again)).toContain("keyferry apply 'my plan.kfplan' --accept ttl.dropped --lock-timeout 10m");
    const open = new KeyferryError('plan.unaccepted', { plan: 'pln_1', findings: ['x.y'] });
    expect(human(open, again)).toContain("keyferry apply 'my plan.kfplan' --accept ttl.dropped --accept x.y");
    const stale = new KeyferryError('plan.expired', { plan: 'pln_1', migration: 'm', expiredAt: 'now' });
    expect(human(stale, again)).toContain("keyferry plan m --out 'my plan.kfplan'");
    const stopped = new KeyferryError('run.interrupted', { migration: 'm', signal: 'SIGINT' });
    expect(human(stopped, again)).toContain("go on:   keyferry apply 'my plan.kfplan' --accept ttl.dropped");
    const unapproved = new KeyferryError('approval.required', { migration: 'm', flag: '--yes' });
    expect(human(unapproved, { argument: 'm', accept: ['ttl.dropped'] })).toContain(
      'keyferry apply m --accept ttl.dropped --yes',
    );
    const invalid = new KeyferryError('config.invalid', { file: 'my file.yaml', issues: [] });
    expect(human(invalid)).toContain("keyferry validate --config 'my file.yaml'");
  });

  it('shows a stack for a bug and asks for a report, and for nothing else', () => {
    expect(human(new KeyferryError('internal.invariant', { what: 'two' }))).toMatch(/please report it[\s\S]*at /);
    expect(human(new KeyferryError('store.timeout', { store: 's', detail: 'd' }))).not.toMatch(/^\s+at /m);
  });
});

describe('lines of a configuration', () => {
  it.each([
    ['a: { password: hunter2, x: 1 }', 'a: { password: ***, x: 1 }'],
    ['"api_key": "hunter2"', '"api_key": ***'],
    ['password: { env: NAME }', 'password: { env: NAME }'],
    ['secret: "a b"', 'secret: ***'],
  ])('%s is shown as %s', (line, want) => expect(withoutSecrets(line, 0).shown).toBe(want));

  it('keep the caret under its place', () => {
    const line = 'password: hunter2, other: 1';
    const at = line.indexOf('other');
    const { shown, shift } = withoutSecrets(line, at);
    expect(shown.slice(at + shift)).toBe('other: 1');
  });
});

describe('an error as a document', () => {
  it('has the envelope, the code, what to do and whether to retry', () => {
    const error = new KeyferryError('store.timeout', { store: 'old', detail: 'range' });
    expect(errorJson(reportOf(error, call), [])).toMatchObject({
      format: 'keyferry.error',
      formatVersion: '1.0',
      warnings: [],
      error: { code: 'store.timeout', retry: 'backoff', exitCode: 1, details: { store: 'old', detail: 'range' } },
    });
  });
  it('holds keys in their JSON form', () => {
    const keys = [{ key: { base64: '/wA=' }, what: 'changed in the source' }];
    const error = new KeyferryError('plan.stale', { plan: 'pln_1', migration: 'm', keys, keysTotal: 1 });
    expect(errorJson(reportOf(error, call), [])).toMatchObject({
      error: { details: { keys: [{ key: { base64: '/wA=' }, what: 'changed in the source' }] } },
    });
  });
});

describe('every code', () => {
  // Details of every shape that any renderer may ask for.
  const details = {
    what: ['w'],
    fix: 'f',
    file: 'f',
    issues: [],
    known: ['k'],
    missing: ['m'],
    suggestion: 'near',
    findings: ['f'],
    lost: ['l'],
    keys: [],
    keysTotal: 0,
    records: [{ key: { text: 'k' }, reason: 'r' }],
    recordsTotal: 1,
    still: { code: 'c', key: null },
    heartbeatAgoMs: 1,
    holder: 'h',
    signal: 'SIGINT',
    line: 1,
    path: 'p',
  };
  it.each(Object.keys(codes) as Code[])('%s has a human and a JSON form', (code) => {
    const error = new KeyferryError(code, details);
    const page = errorHuman(reportOf(error, { ...call, command: 'verify', argument: null }), plainPalette);
    expect(page).toMatch(new RegExp(`^Error ${code.replace('.', '\\.')}: .`));
    expect(page).toContain('  fix ');
    expect(errorJson(reportOf(error, call), [])).toMatchObject({ error: { code } });
  });
});
