/**
 * Goal: a program among the rules gets what the protocols promise, what it answers is used as it is, and whatever goes wrong
 * with it ends the run with a coded error that says what, with nothing left running.
 * Method: real programs that do well, answer in every wrong way, end early, hang, leave children behind, and change.
 */
import { access, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KeyferryError, keyFromJson, type ProgramInput } from '@keyferry/core';
import { waitUntil } from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  answerJson,
  directory,
  javascript,
  ProgramFolder,
  record,
  records,
  type ProgramUse,
} from './program-fixture.ts';

const page = await readFile(join(import.meta.dirname, '../../../../docs/protocols/record-programs.md'), 'utf8');
const blockOf = (name: string): readonly string[] =>
  (new RegExp(`^\`\`\`${name}\\n([^]*?)^\`\`\`$`, 'm').exec(page)?.[1] ?? '').split('\n').slice(0, -1);

let folder: ProgramFolder;
beforeAll(async () => {
  folder = await ProgramFolder.create();
});
afterAll(() => folder.remove());

/** What it fails with. */
async function failure(use: ProgramUse, pages: readonly (readonly ProgramInput[])[]): Promise<KeyferryError> {
  const caught = await folder.run(use, pages).then(
    () => null,
    (error: unknown) => error,
  );
  if (caught instanceof KeyferryError) return caught;
  throw caught instanceof Error ? caught : new TypeError('it did not fail');
}

/** Answers what `answer` makes of each record. */
const echoBody = (answer: string, more = ''): string => `
  const lines = require('node:readline').createInterface({ input: process.stdin });
  let first = true;
  lines.on('line', (line) => {
    const given = JSON.parse(line);
    if (first) { first = false; process.stdout.write('{"keyferry":"records","version":1}\\n'); return; }
    const answer = (${answer})(given);
    process.stdout.write(JSON.stringify({ id: given.id, ...answer }) + '\\n');
  });
  ${more}
`;
const echo = (answer: string, more?: string): string => javascript(echoBody(answer, more));

describe('the protocol of record programs', () => {
  interface Given {
    readonly key: { readonly text: string };
    readonly value: { readonly text?: string; readonly base64?: string };
    readonly expiresAt: string | null;
  }
  const inputOf = (line: string, at: number): ProgramInput => {
    const { key, value, expiresAt } = JSON.parse(line) as Given;
    const bytes = Buffer.from(value.text ?? value.base64 ?? '', value.text === undefined ? 'base64' : 'utf8');
    const expiresAtMs = expiresAt === null ? null : Date.parse(expiresAt);
    return record(key.text, bytes, at, { key: keyFromJson(key), expiresAtMs });
  };

  it('is spoken as its page says, line for line', async () => {
    const lines = blockOf('exchange');
    const marked = (mark: string) => lines.filter((line) => line.startsWith(mark)).map((line) => line.slice(2));
    const [given, answered, becomes] = [marked('> '), marked('< '), marked('= ')];
    expect(becomes).toHaveLength(5);
    // Writes down what it is given, and answers what the page says.
    const source = javascript(`
      const given = require('node:fs').readFileSync(0, 'utf8');
      require('node:fs').writeFileSync('given', given);
      process.stdout.write(${JSON.stringify(answered.map((line) => `${line}\n`).join(''))});
    `);
    const answers = await folder.run({ source }, [[directory('/config')], given.slice(1).map(inputOf)]);
    expect((await readFile(join(folder.path, 'given'), 'utf8')).split('\n').slice(0, -1)).toEqual(given);
    expect(answers.map(answerJson)).toEqual(becomes.map((line) => JSON.parse(line) as object));
  });

  const refused = blockOf('refused').map((line) => {
    const [code = '', number = '', answer = ''] = line.split('|').map((part) => part.trim());
    return { code, number, answer };
  });
  it('has examples of what is refused', () => expect(refused.length).toBeGreaterThan(15));

  // One process each; they share nothing, so they may run side by side.
  it('refuses what its page says, with the line', async () => {
    const outcomes = await Promise.all(
      refused.map(async ({ answer }) => {
        const own = await ProgramFolder.create();
        const hello = '{"keyferry":"records","version":1}';
        const source = `#!/bin/sh\ncat > /dev/null\ncat <<'END'\n${hello}\n${answer}\nEND\n`;
        const caught: unknown = await own.run({ source }, [[record('/a', 'v', 1)]]).catch((error: unknown) => error);
        await own.remove();
        return caught;
      }),
    );
    for (const [at, { code, number, answer }] of refused.entries()) {
      expect({ answer, outcome: outcomes[at] }).toMatchObject({
        outcome: { code, details: { where: `line ${number}` } },
      });
    }
  });

  it.each([
    { name: 'a first line that is none', output: 'ready\\n', where: 'line 1' },
    { name: 'another version', output: '{"keyferry":"records","version":2}\\n', where: 'line 1' },
    { name: 'nothing at all', output: '', where: 'line 1' },
    {
      name: 'an answer too many',
      output: '{"keyferry":"records","version":1}\\n{"id":1,"drop":true}\\n{"id":2,"drop":true}\\n',
      where: 'line 3',
    },
    {
      name: 'a last line that does not end',
      output: '{"keyferry":"records","version":1}\\n{"id":1,"drop":true}',
      where: 'line 2',
    },
    { name: 'bytes that are no text', output: '\\xff\\n', where: 'line 1' },
  ])('refuses $name', async ({ output, where }) => {
    const source = javascript(
      `process.stdin.resume().on('end', () => process.stdout.write(Buffer.from('${output}', 'latin1')));`,
    );
    expect(await failure({ source }, [[record('/a', 'v', 1)]])).toMatchObject({
      code: 'program.answer-invalid',
      details: { where },
    });
  });

  it('carries many records through a program that answers in bursts, in their order', async () => {
    const given = records(20_000, 300);
    // stdout of a pipe is buffered by the program; here as many answers as may be held back.
    const source = javascript(`
      const lines = require('node:readline').createInterface({ input: process.stdin });
      let held = '{"keyferry":"records","version":1}\\n', count = 0, first = true;
      lines.on('line', (line) => {
        if (first) { first = false; return; }
        const { id, value } = JSON.parse(line);
        held += JSON.stringify({ id, records: [{ value: { text: value.text.toUpperCase() } }] }) + '\\n';
        count += 1;
        if (count % 500 === 0) { process.stdout.write(held); held = ''; }
      });
      lines.on('close', () => process.stdout.write(held));
    `);
    const pages = Array.from({ length: 20 }, (_, i) => given.slice(i * 1000, (i + 1) * 1000));
    const answers = await folder.run({ source }, pages);
    expect(answers).toHaveLength(given.length);
    for (const [at, answer] of answers.entries()) {
      const want = given[at];
      if (answer.kind !== 'kept' || want === undefined) throw new TypeError(answer.kind);
      expect(answer.of.sourceKey).toBe(want.sourceKey);
      expect(Buffer.from(answer.records[0]?.value ?? []).toString()).toBe(want.value.toString().toUpperCase());
    }
  });

  it('gives values of a megabyte to a program and takes them back', async () => {
    const given = Array.from({ length: 24 }, (_, i) => record(`/big/${i + 10}`, 'é'.repeat(512 * 1024), i));
    const answers = await folder.run({ source: echo('() => ({ records: [{ key: { text: "/x" } }, {}] })') }, [given]);
    expect(
      answers.map((answer) => (answer.kind === 'kept' ? answer.records.map(({ value }) => value.length) : [])),
    ).toEqual(given.map(() => [1024 * 1024, 1024 * 1024]));
  });
});

describe('a program that does not do its work', () => {
  const given = [records(50)];
  const many = Array.from({ length: 30 }, (_, i) =>
    records(100, 5000).map((each, at) => ({ ...each, version: `${i * 100 + at}` as typeof each.version })),
  );

  it.each<{
    name: string;
    body: string;
    protocol?: 'etcdctl-migrate';
    pages?: readonly (readonly ProgramInput[])[];
    says: RegExp;
  }>([
    {
      name: 'ends with an exit code',
      body: 'process.stdin.resume().on("end", () => process.exit(3));',
      says: /exit code 3/,
    },
    { name: 'is killed', body: 'process.kill(process.pid, "SIGSEGV");', says: /SIGSEGV/ },
    {
      name: 'answers some',
      body: echoBody('({ id }) => { if (id === 7) process.exit(0); return { drop: true }; }'),
      says: /ended before it had read|without an answer/,
    },
    {
      name: 'reads nothing, as a transformer',
      body: 'process.exit(0);',
      protocol: 'etcdctl-migrate',
      pages: many,
      says: /before it had read all/,
    },
    {
      name: 'makes nothing, as a transformer',
      body: 'process.stdin.resume();',
      protocol: 'etcdctl-migrate',
      says: /made nothing of 50 records/,
    },
  ])('and $name fails the run, with its last words', async ({ body, protocol, pages = given, says }) => {
    const source = javascript(`process.stderr.write('first\\nlast words\\n');${body}`);
    const error = await failure({ source, ...(protocol === undefined ? {} : { protocol }) }, pages);
    expect(error).toMatchObject({
      code: 'program.failed',
      details: { program: './program', stderr: 'first\nlast words' },
    });
    expect((error.details as { detail: string }).detail).toMatch(says);
    expect(error.message).toContain('nothing that it made was used');
  });

  it('and hangs is ended after its time, with all that it started', async () => {
    const cases = [
      { name: 'never reads', body: 'setInterval(() => undefined, 1000);', pages: many },
      {
        name: 'never ends',
        body: echoBody('() => ({ drop: true })', 'setInterval(() => undefined, 1000);'),
        pages: given,
      },
      {
        name: 'holds all answers back',
        body: 'process.stdin.resume();setInterval(() => undefined, 1000);',
        pages: [records(3000)],
      },
    ];
    // Each waits for its time: side by side, in folders of their own.
    await Promise.all(
      cases.map(async ({ name, body, pages }) => {
        const own = await ProgramFolder.create();
        const source = javascript(`
          const { spawn } = require('node:child_process');
          const child = spawn('sleep', ['600'], { stdio: 'inherit' });
          require('node:fs').writeFileSync('pids', process.pid + ' ' + child.pid);
          ${body}
        `);
        const caught: unknown = await own.run({ source, timeoutMs: 6000 }, pages).catch((error: unknown) => error);
        expect({ name, caught }).toMatchObject({ caught: { code: 'program.silent', details: { timeoutMs: 6000 } } });
        const pids = (await readFile(join(own.path, 'pids'), 'utf8')).split(' ');
        const allEnded = await waitUntil(async () => !(await anyLives(pids)), 30_000, 20);
        expect({ name, allEnded }).toEqual({ name, allEnded: true });
        await own.remove();
      }),
    );
  });

  it('and leaves a child behind that holds its output open does not hold up the run', async () => {
    const source = `#!/bin/sh\nsleep 600 &\necho '{"keyferry":"records","version":1}'\ncat > /dev/null\n`;
    expect(await folder.run({ source }, [[]])).toEqual([]);
  });

  it('is ended when the run is', async () => {
    const stop = new AbortController();
    const source = javascript('process.stdin.resume();process.stdout.write("x");setInterval(() => undefined, 1000);');
    const pages = async function* (): AsyncGenerator<readonly ProgramInput[]> {
      yield records(3);
      stop.abort();
      yield records(3);
    };
    await expect(folder.run({ source, signal: stop.signal }, pages())).rejects.toBeInstanceOf(KeyferryError);
  });

  it('passes on what the source fails with', async () => {
    const pages = async function* (): AsyncGenerator<readonly ProgramInput[]> {
      yield await Promise.resolve(records(3));
      throw new KeyferryError('store.position-compacted', { store: 'old', position: '5' });
    };
    for (const protocol of ['json-lines', 'etcdctl-migrate'] as const) {
      const source = javascript('process.stdin.resume();');
      await expect(folder.run({ source, protocol }, pages())).rejects.toMatchObject({
        code: 'store.position-compacted',
      });
    }
  });

  it('is not to blame for a source that is slower than its time', async () => {
    const timeoutMs = 4000;
    const pages = async function* (): AsyncGenerator<readonly ProgramInput[]> {
      yield [record('/a', 'v', 1)];
      await new Promise((resolve) => setTimeout(resolve, timeoutMs * 1.5));
      yield [record('/b', 'v', 2)];
    };
    const answers = await folder.run({ source: echo('() => ({ drop: true })'), timeoutMs }, pages());
    expect(answers).toHaveLength(2);
  });
});

describe('what a program sees and is', () => {
  it('is started without a shell, in the folder of the configuration, with next to no environment', async () => {
    const source = javascript(`
      require('node:fs').writeFileSync('seen', JSON.stringify({ args: process.argv.slice(2), cwd: process.cwd(), env: process.env }));
      process.stderr.write('token is ' + process.env.TOKEN);
      process.exit(1);
    `);
    const args = ['$HOME', '; touch hacked', 'a b'];
    const environment = { TOKEN: 'hunter2hunter2', AWS_SECRET_ACCESS_KEY: 'no', NODE_OPTIONS: '--inspect' };
    const error = await failure({ source, args, environment, env: ['TOKEN', 'NOT_SET'] }, [[]]);
    const seen = JSON.parse(await readFile(join(folder.path, 'seen'), 'utf8')) as { args: string[]; env: object };
    expect(seen.args).toEqual(args);
    expect(Object.keys(seen.env).toSorted()).toEqual(['LANG', 'PATH', 'TOKEN', 'TZ']);
    expect(error.details).toMatchObject({ stderr: 'token is [redacted]' });
    await expect(access(join(folder.path, 'hacked'))).rejects.toThrow(/ENOENT/);
  });

  it('is not used when its files change while it runs', async () => {
    const source = echo('() => ({ drop: true })', 'require("node:fs").appendFileSync("program", "\\n// changed");');
    expect(await failure({ source }, [records(3)])).toMatchObject({ code: 'program.unusable' });
  });

  it('is not used when a file that it consists of is missing, or when it may not be executed', async () => {
    const source = javascript('');
    await expect(folder.run({ source, files: ['./gone.json'] }, [])).rejects.toMatchObject({
      code: 'program.unusable',
      details: { detail: 'there is no ./gone.json' },
    });
    expect(await failure({ source: '#!/no/such/interpreter\n' }, [[]])).toMatchObject({ code: 'program.unusable' });
    await writeFile(join(folder.path, 'table.json'), '{}');
    expect(await folder.run({ source: echo('() => ({})'), files: ['./table.json', '.'] }, [[]])).toEqual([]);
  });
});

async function anyLives(pids: readonly string[]): Promise<boolean> {
  for (const pid of pids) {
    const state = /^State:\s+(\w)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8').catch(() => ''))?.[1];
    if (state !== undefined && state !== 'Z') return true;
  }
  return false;
}
