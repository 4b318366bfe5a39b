/** What a plan was asked to carry, in words that can be put behind `keyferry plan`. */
import type { KeySelection } from './plan.ts';

export function selectionText(selection: KeySelection | null): string {
  if (selection === null) return 'all keys';
  const flags = [
    ...selection.only.map((glob) => `--only ${glob}`),
    ...selection.exclude.map((glob) => `--exclude ${glob}`),
  ];
  return `the keys of ${flags.join(' ')}`;
}
