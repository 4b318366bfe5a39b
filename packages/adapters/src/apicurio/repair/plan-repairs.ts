/**
 * What to change in an archive of 2.x so that 3.x loses nothing of it, as far as a change of the archive can do that. Pure.
 *
 * Bytes of contents and ids stay wherever they can: ids travel in messages, and what is not broken is not touched. Every
 * change is named, as somebody may use what it changes. What has no cure here stays a finding of the new archive.
 */
import type { FindingCode } from '@keyferry/core';
import {
  artifactName,
  versionName,
  type ArchivedContent,
  type ArchivedVersion,
  type ContentReference,
} from '../archive/entities.ts';
import type { RegistryArchive } from '../archive/read-archive.ts';
import {
  clashingKeys,
  countBy,
  isMisspeltDefault,
  isVersionName,
  lengthOf,
  textLimits,
} from '../foresee/foresee-import.ts';

export interface Repair {
  /** The finding that it is a cure for. */
  readonly code: FindingCode;
  readonly name: string;
  readonly what: string;
}

export interface RepairPlan {
  readonly repairs: readonly Repair[];
  /** By entry: the members of its JSON that get another value. */
  readonly patches: ReadonlyMap<string, Readonly<Record<string, unknown>>>;
  readonly dropped: ReadonlySet<string>;
}

export function planRepairs(archive: RegistryArchive): RepairPlan {
  const planner = new RepairPlanner(archive);
  planner.run();
  return planner;
}

class RepairPlanner implements RepairPlan {
  readonly repairs: Repair[] = [];
  readonly patches = new Map<string, Record<string, unknown>>();
  readonly dropped = new Set<string>();
  private readonly archive: RegistryArchive;
  /** Where versions went, for the references that lead to them. */
  private readonly moved = new Map<string, { readonly groupId: string | null; readonly version: string }>();

  constructor(archive: RegistryArchive) {
    this.archive = archive;
  }

  run(): void {
    this.mergeContents();
    this.numberVersions();
    this.nameVersions();
    this.fitTexts();
    this.numberComments();
    this.followReferences();
  }

  /** Contents of one hash: the oldest stays, and all versions use it. */
  private mergeContents(): void {
    const { contents, versions } = this.archive;
    const users = Map.groupBy(versions, ({ contentId }) => contentId);
    for (const same of Map.groupBy(contents, ({ recomputedHash }) => recomputedHash).values()) {
      const [kept, ...others] = same.toSorted((a, b) => a.contentId - b.contentId);
      for (const other of others) {
        if (kept === undefined || other.contentId === kept.contentId) continue;
        for (const version of users.get(other.contentId) ?? []) {
          const what = `content ${other.contentId} becomes ${kept.contentId}, which has the same bytes and references`;
          this.patch('registry.content-twice', version, versionName(version), { contentId: kept.contentId }, what);
        }
        const what = `dropped: content ${kept.contentId} has the same bytes and references`;
        this.repairs.push({ code: 'registry.content-twice', name: `content ${other.contentId}`, what });
        this.drop(other);
      }
    }
  }

  private drop({ entry }: ArchivedContent): void {
    this.dropped.add(entry);
    this.dropped.add(entry.replace(/\.json$/, '.data'));
  }

  private numberVersions(): void {
    const { versions } = this.archive;
    let next = versions.reduce((max, { globalId }) => Math.max(max, globalId), 0) + 1;
    const taken = new Set<number>();
    for (const version of versions) {
      const { globalId } = version;
      if (globalId > 0 && !taken.has(globalId)) {
        taken.add(globalId);
        continue;
      }
      const what = `global id ${globalId} becomes ${next}`;
      this.patch('registry.ids-repeated', version, versionName(version), { globalId: next }, what);
      next += 1;
    }
  }

  private nameVersions(): void {
    const names = new Set(this.archive.versions.map(versionName));
    const seen = new Set<string>();
    const artifacts = new Set(
      this.archive.versions.filter(({ groupId }) => !isMisspeltDefault(groupId)).map(artifactName),
    );
    for (const version of this.archive.versions.toSorted((a, b) => a.globalId - b.globalId)) {
      const { groupId: group, version: old } = version;
      // An artifact of that name in the group of none would be mixed up with it: for a person to settle.
      const toDefault = isMisspeltDefault(group) && !artifacts.has(artifactName({ ...version, groupId: null }));
      const groupId = toDefault ? null : group;
      if (toDefault) {
        const what = `group ${group ?? ''} becomes the group of none`;
        this.patch('registry.group-default', version, versionName(version), { groupId: null }, what);
      }
      const isAgain = seen.has(versionName(version));
      seen.add(versionName(version));
      let next = old;
      if (isAgain || !isVersionName(old)) {
        const clean = old.replaceAll(/[^a-zA-Z0-9._+-]/g, '_').slice(0, 240);
        next = freeName(clean, (name) => !names.has(versionName({ ...version, groupId, version: name })));
        names.add(versionName({ ...version, groupId, version: next }));
        const code = isAgain ? 'registry.version-repeated' : 'registry.version-name';
        this.patch(code, version, versionName(version), { version: next }, `version "${old}" becomes "${next}"`);
      }
      if (!isAgain && (next !== old || toDefault)) this.moved.set(versionName(version), { groupId, version: next });
    }
    for (const rule of this.archive.artifactRules) {
      if (!isMisspeltDefault(rule.groupId) || artifacts.has(artifactName({ ...rule, groupId: null }))) continue;
      const what = `group ${rule.groupId ?? ''} becomes the group of none`;
      this.patch('registry.group-default', rule, `${artifactName(rule)} ${rule.type}`, { groupId: null }, what);
    }
  }

  private fitTexts(): void {
    for (const version of this.archive.versions) {
      const cut = (text: string | null, max: number): string | null =>
        lengthOf(text) > max ? (text ?? '').slice(0, max) : text;
      const name = cut(version.name, textLimits.name);
      const description = cut(version.description, textLimits.description);
      if (name !== version.name || description !== version.description) {
        const what = 'name or description is cut to its limit';
        this.patch('registry.text-too-long', version, versionName(version), { name, description }, what);
      }
      this.fitLabels(version);
    }
  }

  private fitLabels(version: ArchivedVersion): void {
    const { labels, properties } = version;
    const isLong = (key: string, value: string | null): boolean =>
      lengthOf(key) > textLimits.labelKey || lengthOf(value) > textLimits.labelValue;
    const long = [...labels.filter((label) => isLong(label, null)), ...keysWhere(properties, isLong)];
    const clashing = clashingKeys(version);
    if (long.length === 0 && clashing.length === 0) return;
    const taken = new Set<string>();
    const fitted: Record<string, string | null> = {};
    for (const [key, value] of Object.entries(properties)) {
      const free = freeName(key.slice(0, textLimits.labelKey - 6), (each) => !taken.has(each.toLowerCase()));
      const kept = lengthOf(key) <= textLimits.labelKey && !taken.has(key.toLowerCase()) ? key : free;
      taken.add(kept.toLowerCase());
      fitted[kept] = value?.slice(0, textLimits.labelValue) ?? null;
    }
    // A label that is a property to the letter is that property: it stays as it is.
    const keptLabels = labels.flatMap((label) => {
      const short = label.slice(0, textLimits.labelKey);
      if (taken.has(short.toLowerCase()) && !Object.hasOwn(fitted, short)) return [];
      taken.add(short.toLowerCase());
      return [short];
    });
    const fields = { labels: [...new Set(keptLabels)], properties: fitted };
    const names = (keys: readonly string[]): string => keys.map((key) => key.slice(0, 40)).join(', ');
    if (clashing.length > 0) {
      const what = `${names(clashing)}: one stays, further labels go, further properties get a number`;
      this.patch('registry.labels-clash', version, versionName(version), fields, what);
    }
    if (long.length > 0) {
      const what = `${names(long)}: cut to ${textLimits.labelKey} and ${textLimits.labelValue} characters`;
      this.patch('registry.text-too-long', version, versionName(version), fields, what);
    }
  }

  private numberComments(): void {
    const { comments } = this.archive;
    const ids = countBy(comments, ({ commentId }) => commentId);
    let next = comments.reduce((max, { commentId }) => Math.max(max, Number(commentId) || 0), 0) + 1;
    const seen = new Set<string>();
    for (const comment of comments) {
      const isAgain = seen.has(comment.commentId);
      seen.add(comment.commentId);
      if (!isAgain || (ids.get(comment.commentId) ?? 0) < 2) continue;
      const what = `comment id ${comment.commentId} becomes ${next}`;
      const name = `${comment.globalId}/${comment.commentId}`;
      this.patch('registry.comment-lost', comment, name, { commentId: String(next) }, what);
      next += 1;
    }
  }

  /** References lead where their versions went, and are named once where they are equal to the letter. */
  private followReferences(): void {
    for (const content of this.archive.contents) {
      if (this.dropped.has(content.entry) || content.references.length === 0) continue;
      const followed = content.references.map((each) => this.follow(each));
      const followedText = JSON.stringify(followed);
      const once = [...new Map(followed.map((each) => [JSON.stringify(each), each])).values()];
      const name = `content ${content.contentId}`;
      if (followedText !== JSON.stringify(content.references)) {
        const fields = { serializedReferences: JSON.stringify(once) };
        this.patch('registry.version-name', content, name, fields, 'its references follow versions that were renamed');
      }
      if (once.length < followed.length) {
        const fields = { serializedReferences: JSON.stringify(once) };
        this.patch('registry.references-clash', content, name, fields, 'a reference that it names twice is named once');
      }
    }
  }

  private follow(reference: ContentReference): ContentReference {
    const { groupId, artifactId, version } = reference;
    const moved = version === null ? undefined : this.moved.get(versionName({ groupId, artifactId, version }));
    return moved === undefined ? reference : { ...reference, ...moved };
  }

  private patch(
    code: FindingCode,
    { entry }: { readonly entry: string },
    name: string,
    fields: Readonly<Record<string, unknown>>,
    what: string,
  ): void {
    this.repairs.push({ code, name, what });
    this.patches.set(entry, { ...this.patches.get(entry), ...fields });
  }
}

function keysWhere(
  properties: ArchivedVersion['properties'],
  holds: (key: string, value: string | null) => boolean,
): readonly string[] {
  return Object.entries(properties).flatMap(([key, value]) => (holds(key, value) ? [key] : []));
}

/** The name itself where it is free, else with the first number behind it that is. */
function freeName(name: string, isFree: (name: string) => boolean): string {
  if (name !== '' && isFree(name)) return name;
  for (let i = 2; ; i += 1) if (isFree(`${name}-${i}`)) return `${name}-${i}`;
}
