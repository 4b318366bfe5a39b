/**
 * Goal: the policy that operators copy permits what is called, and nothing else.
 * Method: the commands that the sources name, held against the runbook.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const folder = import.meta.dirname;
const runbook = readFileSync(join(folder, '../../../../../docs/operations/shared-state.md'), 'utf8');

/** A transaction is permitted by the permissions of what is in it, all of which is called by itself too. */
const withoutPermission = new Set(['TransactWriteItems']);

function commandsOf(files: readonly string[]): string[] {
  const text = files.map((file) => readFileSync(join(folder, file), 'utf8')).join('\n');
  const names = [...text.matchAll(/new (\w+)Command\(/g)].map(([, name]) => name ?? '');
  return [...new Set(names)].filter((name) => !withoutPermission.has(name)).toSorted();
}

it('the runbook permits exactly what is called', () => {
  const sources = readdirSync(folder).filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'));
  const blocks = [...runbook.matchAll(/"Action": \[([^\]]*)\]/g)].map(([, actions = '']) =>
    [...actions.matchAll(/"dynamodb:(\w+)"/g)].map(([, name = '']) => name),
  );
  const table = commandsOf(['table.ts']);
  const daily = commandsOf(sources.filter((file) => file !== 'table.ts'));
  expect(daily).toContain('GetItem');
  expect(blocks).toEqual([daily, table]);
});
