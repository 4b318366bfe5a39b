/**
 * What an import of an archive does not bring up to date in a 3.x that holds an older one, and what to do about it.
 *
 * The importer adds what is absent and leaves what is there as it is: a changed state, label or rule, a deletion and a new comment
 * of a version that is there do not come over. So an artifact with any of these is renewed: taken out, and imported whole and with
 * its ids. So is a group whose maker or time is another, with all that is in it. Rules of all and descriptions are written. Pure.
 */
import { compareRecords, type RecordDifference } from '../records/compare-records.ts';
import { keyOf, textOf, type Json, type RegistryRecord } from '../records/records.ts';
import type { RecordSet } from '../records/record-set.ts';

export interface Renewal {
  /** Names of groups that have to go before the import, with all that is in them. */
  readonly groups: readonly string[];
  /** Group and artifact of those that have to go besides. */
  readonly artifacts: readonly (readonly string[])[];
  /** Of groups and rules, for after the import. */
  readonly rest: readonly RecordDifference[];
  /** Keys of records that the import finds absent. */
  readonly absent: ReadonlySet<string>;
  /** Contents that are to have other ids than they are held by: `24, which is 19 there`. */
  readonly otherIds: readonly string[];
}

/** @param held what 3.x holds: read from it, or known to be there @param expected what it is to hold */
export async function renewalOf(expected: RecordSet, held: RecordSet): Promise<Renewal> {
  const sorter = new DifferenceSorter();
  for await (const difference of compareRecords(expected, held)) sorter.take(difference);
  return await sorter.result(held);
}

export function artifactKey([group = '', artifact = '']: readonly string[]): string {
  return keyOf({ kind: 'artifact', parts: [group, artifact] });
}

class DifferenceSorter {
  private readonly rest: RecordDifference[] = [];
  private readonly absent = new Set<string>();
  private readonly groups = new Set<string>();
  /** Their keys. */
  private readonly artifacts = new Set<string>();
  /** Of versions whose comments differ. */
  private readonly globalIds = new Set<string>();
  /** By bytes and references, ids of contents that are there and not expected, and the other way round. */
  private readonly contents = { held: new Map<string, string>(), absent: new Map<string, string>() };

  take(difference: RecordDifference): void {
    if (difference.kind === 'rivals') return; // which of them is there is left as it is
    if (difference.kind === 'missing') this.absent.add(keyOf(difference.expected));
    const { kind, parts } = difference.kind === 'missing' ? difference.expected : difference.found;
    if (kind === 'group' && isAnotherGroup(difference)) this.groups.add(parts[0] ?? '');
    else if (kind === 'group' || kind === 'globalRule' || kind === 'groupRule') this.rest.push(difference);
    else if (kind === 'comment') this.globalIds.add(parts[0] ?? '');
    else if (kind === 'content') this.takeContent(difference);
    else if (!isBroughtByImport(difference)) this.artifacts.add(artifactKey(parts));
  }

  private takeContent(difference: Exclude<RecordDifference, { readonly kind: 'rivals' }>): void {
    if (difference.kind === 'changed') return;
    const [side, { parts, body }] =
      difference.kind === 'missing'
        ? ([this.contents.absent, difference.expected] as const)
        : ([this.contents.held, difference.found] as const);
    if (body !== null) side.set(JSON.stringify(body), parts[0] ?? '');
  }

  async result(held: RecordSet): Promise<Renewal> {
    const there: (readonly string[])[] = [];
    for await (const { kind, parts, body } of held.entries()) {
      if (kind === 'version' && this.globalIds.has(textOf(body?.['globalId']))) this.artifacts.add(artifactKey(parts));
      if (kind === 'artifact') there.push(parts);
    }
    return {
      groups: [...this.groups],
      // What is not there needs no deleting.
      artifacts: there.filter((parts) => this.artifacts.has(artifactKey(parts)) && !this.groups.has(parts[0] ?? '')),
      rest: this.rest,
      absent: this.absent,
      otherIds: [...this.contents.absent].flatMap(([facts, id]) => {
        const heldAs = this.contents.held.get(facts);
        return heldAs === undefined ? [] : [`${id}, which is ${heldAs} there`];
      }),
    };
  }
}

/** Deleted, and another one made of its name. */
function isAnotherGroup(difference: RecordDifference): boolean {
  return difference.kind === 'changed' && difference.fields.some((field) => field === 'owner' || field === 'createdOn');
}

/** New versions, also at the end of `latest`, what their artifact's row says of them, and what is carried over afterwards. */
function isBroughtByImport(difference: RecordDifference): boolean {
  if (difference.kind === 'missing') return difference.expected.kind !== 'artifactRule';
  if (difference.kind !== 'changed') return false;
  const { expected, found, fields } = difference;
  if (found.kind === 'artifact') return !fields.includes('type');
  if (found.kind !== 'branch') return false;
  const [wanted, held] = [versionsOf(expected), versionsOf(found)];
  return held.length < wanted.length && held.every((version, at) => version === wanted[at]);
}

function versionsOf({ body }: RegistryRecord): readonly Json[] {
  return Array.isArray(body['versions']) ? (body['versions'] as readonly Json[]) : [];
}
