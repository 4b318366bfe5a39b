/**
 * Goal: `keyferry test` passes when the rules do what the cases say, and says what they did when they do not.
 * Method: the built program on files of cases beside a configuration with rules of several kinds.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { configText, Workbench } from './workbench.ts';

const rules = [
  '    rules:',
  '      - exclude: ["/config/tmp/**"]',
  '      - value: { base64: decode, keys: ["/config/db/**"] }',
].join('\n');

const right = `
- name: passwords are decoded
  given: { key: /config/db/password, value: c2VjcmV0 }
  expect: { value: secret }
- given: { key: /config/tmp/x, value: x }
  expect: { dropped: rule.excluded }
- name: what is no base64 is refused
  given: { key: /config/db/user, value: "*" }
  expect: { failed: base64 }
`;

let bench: Workbench;
beforeAll(async () => {
  bench = await Workbench.create([], rules);
});
afterAll(() => bench.remove());

describe('keyferry test', () => {
  it('says where cases go when there are none', async () => {
    const { code, stderr } = await bench.run(['test']);
    expect(code).toBe(78);
    expect(stderr).toContain('fixtures.not-found');
    expect(stderr).toContain('config.fixtures.yaml');
  });

  it('finds the cases of each migration and exits 0 when all are as expected', async () => {
    await bench.write('config.fixtures.yaml', right);
    const { code, stdout } = await bench.run(['test']);
    expect(stdout).toBe(
      [
        'config   config.fixtures.yaml',
        '  = passwords are decoded',
        '  = /config/tmp/x',
        '  = what is no base64 is refused',
        '',
        '3 cases: 3 as expected, 0 not.',
        '',
      ].join('\n'),
    );
    expect(code).toBe(0);
  });

  it('exits 7 and shows place, expectation and outcome of a case that differs', async () => {
    await bench.write('other.ndjson', '{"given":{"key":"/config/db/a","value":"YQ=="},"expect":{"value":"b"}}\n');
    const { code, stdout } = await bench.run(['test', 'config', '--fixtures', 'other.ndjson']);
    expect(stdout).toContain('  ! /config/db/a   other.ndjson:1:1\n');
    expect(stdout).toMatch(/value\s+expected\s+"b"\n\s+actual\s+"a"\n/);
    expect(code).toBe(7);
  });

  it('tells a mistake in the file with its line, and runs no case', async () => {
    await bench.write('wrong.yaml', '- given: { key: /config/a, value: v }\n  expekt: {}\n');
    const { code, stdout, stderr } = await bench.run(['test', 'config', '--fixtures', 'wrong.yaml']);
    expect([code, stdout]).toEqual([78, '']);
    expect(stderr).toContain('wrong.yaml:2:3   [0].expekt: is not a known key; did you mean expect?');
    expect(stderr).toContain('  2 |   expekt: {}');
  });

  it('judges by the rules that plan applies', async () => {
    await bench.writeRows([
      { key: '/config/db/password', value: 'c2VjcmV0' },
      { key: '/config/tmp/x', value: 'x' },
    ]);
    expect((await bench.run(['test'])).code).toBe(0);
    expect((await bench.run(['apply', 'config', '--yes'])).code).toBe(0);
    const { document } = await bench.json(['verify', 'config']);
    expect(document).toMatchObject({ verdict: 'agree', source: { records: 1 }, target: { records: 1 } });
    await bench.write('keyferry.yaml', configText());
    expect((await bench.run(['test'])).code).toBe(7);
  });

  it('asks renames and modules as plan does, by the keys that they make', async () => {
    const more = [
      '    rules:',
      '      - rename: { template: "/config/{env}/{rest...}", to: "/config/{rest}/{env}" }',
      '      - module: ./live.ts',
    ].join('\n');
    await bench.write('keyferry.yaml', configText(more));
    await bench.write(
      'live.ts',
      'export default { transform: (r) => (r.value.length === 0 ? { kind: "dropped" } : { kind: "kept", record: r }) };',
    );
    await bench.write(
      'moved.yaml',
      [
        '- { given: { key: /config/prod/db/host, value: a }, expect: { key: /config/db/host/prod } }',
        '- { given: { key: /config/prod/db/port, value: "" }, expect: { dropped: rule.dropped } }',
        '- { given: { key: /config/prod/x, value: a }, expect: {} }',
      ].join('\n'),
    );
    const { code, stdout } = await bench.run(['test', 'config', '--fixtures', 'moved.yaml']);
    expect(stdout).toContain('3 cases: 2 as expected, 1 not.');
    expect(stdout).toMatch(/key\s+expected\s+\/config\/prod\/x\n\s+actual\s+\/config\/x\/prod\n/);
    expect(code).toBe(7);
  });
});
