/** What `dual-read` asks of the rest of a migration: a switch, instances, and keys and values that both stores have alike. */
import type { ConfigIssue } from '@keyferry/core';
import { nearest } from './nearest.ts';
import type { StoreKind } from './resolved-config.ts';
import { valueAt } from './schema-issues.ts';
import type { YamlText } from './yaml-text.ts';

/** Kinds of stores that can hold a switch (`switch.ts` of each). */
export const switchKinds: readonly StoreKind[] = ['etcd-v2', 'etcd-v3', 'consul', 'postgres', 'sqlite'];

export function checkOnline(
  yaml: YamlText,
  root: unknown,
  migration: string,
  kindOf: (root: unknown, store: unknown) => StoreKind | null,
): readonly ConfigIssue[] {
  const path = ['migrations', migration];
  const at = (...more: readonly (string | number)[]): unknown => valueAt(root, [...path, ...more]);
  const strategy = at('strategy');
  if (strategy !== 'dual-read') {
    return ['switch', 'instances'].flatMap((name) =>
      at(name) === undefined || strategy === undefined
        ? []
        : [yaml.issue([...path, name], 'key', 'has an effect with strategy: dual-read alone')],
    );
  }
  const issues: ConfigIssue[] = [];
  if (at('switch') === undefined) {
    const message = 'dual-read needs a switch that the application follows:   switch: { store: NAME }';
    issues.push(yaml.issue([...path, 'strategy'], 'value', message));
  }
  if (at('instances') === undefined) {
    const message = 'dual-read needs the least number of instances that take part:   instances: { min: N }';
    issues.push(yaml.issue([...path, 'strategy'], 'value', message));
  }
  const [from, to] = [at('source', 'prefix'), at('target', 'prefix')];
  if (typeof from === 'string' && typeof to === 'string' && from !== to) {
    const message = `applications use the same keys in both stores, so ${JSON.stringify(from)} is expected with dual-read`;
    issues.push(yaml.issue([...path, 'target', 'prefix'], 'value', message));
  }
  const rules = at('rules');
  for (const [nth, rule] of (Array.isArray(rules) ? rules : []).entries()) {
    if (valueAt(rule, ['ttl']) !== undefined) continue;
    const message = 'applications see records as they are in both stores: no rule but ttl can stand in a dual-read';
    issues.push(yaml.issue([...path, 'rules', nth], 'value', message));
  }
  if (at('prune') === true) {
    issues.push(yaml.issue([...path, 'prune'], 'value', 'would delete what applications write; false is expected'));
  }
  return [...issues, ...checkSwitchStore(yaml, root, path, kindOf), ...checkGuideForm(yaml, root, path, kindOf)];
}

/** Applications that follow the guide write the target from the beginning, and register nowhere. */
function checkGuideForm(
  yaml: YamlText,
  root: unknown,
  path: readonly string[],
  kindOf: (root: unknown, store: unknown) => StoreKind | null,
): readonly ConfigIssue[] {
  const at = (...more: readonly string[]): unknown => valueAt(root, [...path, ...more]);
  if (at('switch', 'form') !== 'guide') return [];
  const where = [...path, 'switch', 'form'];
  const issue = (message: string): ConfigIssue => yaml.issue(where, 'value', message);
  const store = at('switch', 'store');
  const isInEtcd = typeof store === 'string' && [null, 'etcd-v3'].includes(kindOf(root, store));
  return [
    ...(isInEtcd
      ? []
      : [issue('the key of the guide lies in etcd v3:   switch: { store: NAME, key: KEY, form: guide }')]),
    ...(typeof at('switch', 'key') === 'string'
      ? []
      : [issue('which key the application follows is expected:   key: KEY')]),
    ...(at('instances', 'min') === 1 ? [] : [issue('nobody registers with it:   instances: { min: 1 }')]),
    ...(at('onConflict') === 'keep-target'
      ? []
      : [issue('applications write the target already, and their word counts:   onConflict: keep-target')]),
  ];
}

function checkSwitchStore(
  yaml: YamlText,
  root: unknown,
  path: readonly string[],
  kindOf: (root: unknown, store: unknown) => StoreKind | null,
): readonly ConfigIssue[] {
  const where = [...path, 'switch', 'store'];
  const store = valueAt(root, where);
  if (typeof store !== 'string') return [];
  const stores = valueAt(root, ['stores']);
  const known = typeof stores === 'object' && stores !== null ? Object.keys(stores) : [];
  if (!known.includes(store)) {
    const message = `there is no store ${JSON.stringify(store)} under stores`;
    return [yaml.issue(where, 'value', message, nearest(store, known))];
  }
  const kind = kindOf(root, store);
  if (kind === null || switchKinds.includes(kind)) return [];
  return [yaml.issue(where, 'value', cannotHoldSwitch(kind, switchKinds))];
}

/** Records of a table of the user's own are no place for it, and a table of keyferry's own is. */
export function cannotHoldSwitch(kind: StoreKind, kinds: readonly StoreKind[]): string {
  if (kind === 'dynamodb') {
    const instead = 'switch: { dynamodb: { table: keyferry, region: eu-west-1 } }';
    return `a switch lies beside no records of DynamoDB, but in a table of keyferry's own:   ${instead}`;
  }
  return `kind ${kind} cannot hold a switch; these can: ${kinds.join(', ')}`;
}
