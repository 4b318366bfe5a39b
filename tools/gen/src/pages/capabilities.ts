/** docs/reference/capabilities.md: what the adapters can do, as the planner reads it; one column a kind of store. */
import { adapterFacts, adapterKinds, type SideFacts } from '@keyferry/adapters';
import { code, page, table } from '../markdown.ts';
import { typeNamed, type Program } from '../schemas/program.ts';
import { descriptionsOf } from './type-members.ts';

export function capabilitiesPage(program: Program): string {
  const kinds = Object.entries(adapterFacts);
  const sides = (side: 'source' | 'target') =>
    kinds.flatMap(([kind, facts]) => facts[side].map((each) => ({ name: columnName(kind, each), side: each })));
  const descriptions = descriptionsOf(program, typeNamed(program, 'TargetCapabilities'));
  const ofStores = Object.keys(Object.fromEntries(descriptionsOf(program, typeNamed(program, 'StoreCapabilities'))));
  const ofTargets = [...descriptions.keys()].filter((field) => !ofStores.includes(field));
  const fields = (columns: ReturnType<typeof sides>, names: readonly string[]): string =>
    table(
      ['capability', ...columns.map(({ name }) => name), 'what it says'],
      names.map((field) => [
        code(field),
        ...columns.map(({ side }) => valueText((side.capabilities as unknown as Record<string, unknown>)[field])),
        descriptions.get(field) ?? '',
      ]),
    );
  return page(
    'Capabilities',
    [
      'What each kind of store can do. The planner reads these fields and never asks which store it is; limits are ' +
        'those at default settings. `keyferry adapters describe KIND` shows one kind.',
    ],
    '## Kinds',
    table(
      ['kind', 'what it is', 'source', 'target', 'tested with'],
      Object.entries(adapterKinds).map(([kind, { description, source, target }]) => [
        code(kind),
        description,
        source ? 'yes' : '-',
        target ? 'yes' : '-',
        new Map(kinds).get(kind)?.testedWith ?? '',
      ]),
    ),
    '## As a source',
    fields(sides('source'), ofStores),
    '## As a target',
    fields(sides('target'), [...ofStores, ...ofTargets]),
    '## Permission',
    table(
      ['kind', 'as a source', 'as a target'],
      kinds.map(([kind, { source, target }]) => [code(kind), permissions(source), permissions(target)]),
    ),
  );
}

const columnName = (kind: string, { form }: SideFacts): string => (form === null ? kind : `${kind}, ${form}`);
const permissions = (sides: readonly SideFacts[]): string =>
  [...new Set(sides.map(({ permission }) => permission))].join('<br>') || '-';

function valueText(value: unknown): string {
  if (typeof value === 'function') return 'some records';
  if (value === null || value === undefined) return '-';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return typeof value === 'number'
    ? value.toLocaleString('en')
    : code(typeof value === 'string' ? value : JSON.stringify(value));
}
