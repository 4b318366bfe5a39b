/**
 * What a reviewer must know of an import before it happens, each thing by name and with its way out. The keys of findings are
 * `group/artifact/version`, and the group of none is called `default`.
 */
import {
  counted,
  countText,
  finding,
  keyFromText,
  keyToJson,
  type Finding,
  type FindingCase,
  type FindingCode,
} from '@keyferry/core';
import { artifactName, versionName, type ArchivedContent, type ArchivedVersion } from '../archive/entities.ts';
import type { RegistryArchive } from '../archive/read-archive.ts';
import { clashingKeys, lengthOf, nextIds, textLimits, type Foreseen, type LossReason } from './foresee-import.ts';
import type { TargetRelease } from './target-release.ts';

/** How many a finding names. */
const namedMax = 10;
const bytesOfPathPart = 255;

export function findingsOf(archive: RegistryArchive, foreseen: Foreseen, release: TargetRelease): readonly Finding[] {
  return [
    ...targetFindings(release),
    ...refusals(archive, release),
    ...versionLosses(archive, foreseen),
    ...ruleAndCommentLosses(foreseen),
    ...changes(archive, foreseen, release),
  ];
}

interface Case {
  readonly name: string;
  readonly detail: string;
}

/** @param what it concerns: the noun of one, and what is said of them */
function found(
  code: FindingCode,
  cases: readonly Case[],
  [noun, said]: readonly [noun: string, said: string],
  fix: string,
): readonly Finding[] {
  if (cases.length === 0) return [];
  const named: readonly FindingCase[] = cases.slice(0, namedMax).map((each) => ({
    key: keyToJson(keyFromText(each.name)),
    sourceKeys: [],
    count: 1,
    detail: each.detail,
  }));
  return [
    finding(code, {
      count: cases.length,
      cases: named,
      detail: `${counted(cases.length, noun)}${said === '' ? '' : ` ${said}`}`,
      fix,
    }),
  ];
}

function targetFindings({ version, unfit }: TargetRelease): readonly Finding[] {
  if (unfit === null) return [];
  const fix = 'install 3.0.6 or later, better the newest';
  return [finding('registry.target-unfit', { count: 1, detail: `${version}: ${unfit}`, fix })];
}

function refusals(archive: RegistryArchive, { version, limits }: TargetRelease): readonly Finding[] {
  const { manifest, faults, sizes, bytes } = archive;
  const exportVersion = manifest?.exportVersion ?? null;
  const cases: Case[] = faults.map(({ entry, detail }) => ({ name: entry, detail }));
  const add = (name: string, detail: string) => void cases.push({ name, detail });
  if (manifest === null) add(archive.file, 'it has no manifest');
  else if (!/^[12]\./.test(exportVersion ?? ''))
    add(manifest.entry, `export version ${exportVersion ?? 'none'}, not 1 or 2`);
  else if (!manifest.systemVersion?.startsWith('2.')) {
    add(manifest.entry, `it was written by ${manifest.systemVersion ?? 'an unknown release'}, and not by a 2.x`);
  }
  const over = (name: string, what: string, is: number, max: number, property: string): void => {
    if (is > max)
      add(name, `${what}: ${countText(is)}; ${version} takes ${countText(max)} unless ${property} says more`);
  };
  const { largest, longestPathPart: longest } = sizes;
  over(archive.file, 'bytes to upload', bytes, limits.uploadBytesMax, 'quarkus.http.limits.max-body-size');
  over(archive.file, 'entries', sizes.entries, limits.entriesMax, 'apicurio.import.zip.max-entry-count');
  over(archive.file, 'bytes unpacked', sizes.bytes, limits.bytesMax, 'apicurio.import.zip.max-total-size');
  if (largest !== null) {
    over(
      largest.entry,
      'bytes in one entry',
      largest.bytes,
      limits.entryBytesMax,
      'apicurio.import.zip.max-entry-size',
    );
  }
  if (longest !== null && longest.bytes > bytesOfPathPart) {
    add(
      longest.entry,
      `a part of the path has ${countText(longest.bytes)} bytes, and a file system takes ${bytesOfPathPart}`,
    );
  }
  const fix =
    'raise the limits named, as properties of the target; shorten ids that are too long; export again if it is damaged';
  return found('registry.archive-refused', cases, ['reason', ''], fix);
}

interface LossWords {
  readonly code: FindingCode;
  readonly what: readonly [noun: string, said: string];
  readonly fix: string;
}

const repair = 'let it be cured in the archive:   keyferry inspect ARCHIVE --repaired NEW.zip';

const lossWords: Readonly<Record<Exclude<LossReason, 'content-lost' | 'content-twice'>, LossWords>> = {
  'content-missing': {
    code: 'registry.content-missing',
    what: ['version', 'without its content'],
    fix: 'export again while nobody writes; if it stays so, delete these versions in 2.x',
  },
  'global-id-repeated': {
    code: 'registry.ids-repeated',
    what: ['version', 'with a global id that another one has too'],
    fix: repair,
  },
  'version-repeated': {
    code: 'registry.version-repeated',
    what: ['version', 'with the name of an older one'],
    fix: repair,
  },
  'version-name': {
    code: 'registry.version-name',
    what: ['version', 'named with more than letters, digits, ".", "_", "-" and "+", or with over 256 of them'],
    fix: `tell who uses these names, then ${repair}`,
  },
  'labels-clash': {
    code: 'registry.labels-clash',
    what: ['version', 'with labels or properties that differ only in case'],
    fix: repair,
  },
  'text-too-long': { code: 'registry.text-too-long', what: ['version', 'with text over the limit'], fix: repair },
  'group-default': {
    code: 'registry.group-default',
    what: ['version', 'in a group that is called default in other letters'],
    fix: repair,
  },
};

function versionLosses(archive: RegistryArchive, { contents, versions }: Foreseen): readonly Finding[] {
  const users = Map.groupBy(archive.versions, ({ contentId }) => contentId);
  const contentCases = (why: string, detailOf: (content: ArchivedContent) => string): readonly Case[] =>
    contents
      .filter((each) => each.why === why)
      .flatMap(({ entity }) => {
        const of = users.get(entity.contentId) ?? [];
        const names = of.length === 0 ? [`content ${entity.contentId}`] : of.map(versionName);
        return names.map((name) => ({ name, detail: `content ${entity.contentId}: ${detailOf(entity)}` }));
      });
  const byReason = Object.entries(lossWords).flatMap(([why, { code, what, fix }]) => {
    const cases = versions
      .filter((each) => each.why === why)
      .map(({ entity }) => ({ name: versionName(entity), detail: lossDetail(why as LossReason, entity) }));
    return found(code, cases, what, fix);
  });
  return [
    ...found(
      'registry.content-refused',
      contentCases('kind-refused', ({ takenFor }) => `taken for ${takenFor ?? ''}`),
      ['version', 'whose content is taken for something else'],
      'create these again by the API of 3.x after the import, and see that nobody uses their ids',
    ),
    ...found(
      'registry.references-clash',
      contentCases(
        'references-clash',
        ({ references }) => `references ${references.map(({ name }) => name).join(', ')}`,
      ),
      ['version', 'whose content has two references of one name'],
      `those that are equal to the letter: ${repair}\nothers: write the content in 2.x without one of them, and export again`,
    ),
    ...found(
      'registry.content-twice',
      [
        ...contentCases('content-twice', twiceDetail),
        ...contentCases('content-id-repeated', () => 'its id is there twice'),
      ],
      ['version', 'whose content has the hash of another one in 3.x'],
      repair,
    ),
    ...byReason,
  ];
}

const twiceDetail = ({ recomputedHash }: ArchivedContent): string => `hash ${recomputedHash.slice(0, 12)}`;

function lossDetail(why: LossReason, version: ArchivedVersion): string {
  switch (why) {
    case 'global-id-repeated':
      return `global id ${version.globalId}`;
    case 'content-missing':
      return `content ${version.contentId}`;
    case 'labels-clash':
      return clashingKeys(version).join(', ');
    case 'text-too-long':
      return longTexts(version).join(', ');
    case 'group-default':
      return `group ${version.groupId ?? ''}`;
    default:
      return `global id ${version.globalId}`;
  }
}

function longTexts({ name, description, labels, properties }: ArchivedVersion): readonly string[] {
  const over = (what: string, text: string | null, max: number): readonly string[] =>
    lengthOf(text) > max
      ? [`${what} of ${countText(lengthOf(text))} characters, and ${countText(max)} is the most`]
      : [];
  return [
    ...over('name', name, textLimits.name),
    ...over('description', description, textLimits.description),
    ...labels.flatMap((label) => over('label', label, textLimits.labelKey)),
    ...Object.entries(properties).flatMap(([key, value]) => [
      ...over('key of a property', key, textLimits.labelKey),
      ...over(`property ${key.slice(0, 40)}`, value, textLimits.labelValue),
    ]),
  ];
}

function ruleAndCommentLosses({ artifactRules, comments }: Foreseen): readonly Finding[] {
  const rules = artifactRules
    .filter(({ fate }) => fate !== 'kept')
    .map(({ entity }) => ({
      name: artifactName(entity),
      detail: `${entity.type} ${entity.configuration ?? ''}`.trim(),
    }));
  const lost = comments
    .filter(({ fate }) => fate !== 'kept')
    .map(({ entity, why }) => ({
      name: `${entity.globalId}/${entity.commentId}`,
      detail: why === 'comment-id-repeated' ? 'another comment has its id' : 'its version is not kept by name',
    }));
  return [
    ...found(
      'registry.rule-lost',
      rules,
      ['rule', 'of artifacts that will not be there'],
      'create them again where their artifacts get a version',
    ),
    ...found(
      'registry.comment-lost',
      lost,
      ['comment', '(global id/comment id)'],
      'cure what their versions are lost for',
    ),
  ];
}

function changes(archive: RegistryArchive, foreseen: Foreseen, release: TargetRelease): readonly Finding[] {
  const used = new Set(archive.versions.map(({ contentId }) => contentId));
  const unused = archive.contents.filter(({ contentId }) => !used.has(contentId));
  const artifacts = Map.groupBy(archive.versions, artifactName);
  const cleaner = release.deletesUnusedContents ? `; ${release.version} deletes them within the hour` : '';
  return [
    ...latestMoves(artifacts),
    ...ownerMoves(artifacts),
    ...found(
      'registry.group-properties',
      archive.groups
        .filter(({ properties }) => Object.keys(properties).length > 0)
        .map(({ groupId, properties }) => ({ name: groupId, detail: Object.keys(properties).join(', ') })),
      ['group', 'with properties'],
      'after the import write them as labels:   PUT /apis/registry/v3/groups/GROUP   {"labels": {"KEY": "VALUE"}}',
    ),
    ...found(
      'registry.content-type',
      wrongTypes(foreseen),
      ['version', 'whose content is no JSON'],
      'tell readers of 3.x to go by the type of the artifact',
    ),
    ...found(
      'registry.content-unused',
      unused.map(({ contentId, bytes }) => ({ name: `content ${contentId}`, detail: `${countText(bytes)} bytes` })),
      ['content', `of no version${cleaner}`],
      'nothing to do: counts of contents on both sides will differ by these',
    ),
    ...idsReused(foreseen, unused),
  ];
}

/**
 * 3.x goes on counting behind the highest id that it took in: the ids of versions that were lost at the top come again, and
 * contents at the top that no version uses are what is left of versions that were deleted there.
 */
function idsReused(foreseen: Foreseen, unused: readonly ArchivedContent[]): readonly Finding[] {
  const next = nextIds(foreseen);
  const lost = foreseen.versions
    .filter(({ entity, fate }) => fate === 'lost' && entity.globalId >= next.globalId)
    .map(({ entity }) => ({ name: versionName(entity), detail: `global id ${entity.globalId}` }));
  const highest = foreseen.versions.reduce((max, { entity }) => Math.max(max, entity.contentId), 0);
  const deleted = unused
    .filter(({ contentId }) => contentId > highest)
    .map(({ contentId }) => ({
      name: `content ${contentId}`,
      detail: `the highest that a version uses is ${highest}`,
    }));
  return found(
    'registry.ids-reused',
    [...lost, ...deleted],
    ['id', `of what is lost or was deleted at the top; the next global id of 3.x is ${next.globalId}`],
    'see that no message with one of these ids is still to be read',
  );
}

function latestMoves(artifacts: ReadonlyMap<string, readonly ArchivedVersion[]>): readonly Finding[] {
  const cases = [...artifacts].flatMap(([name, versions]) => {
    const [newest] = versions.toSorted((a, b) => b.globalId - a.globalId);
    const latest = versions.find(({ isLatest }) => isLatest);
    if (newest === undefined || latest === newest) return [];
    return [{ name, detail: `${latest?.version ?? 'none'} becomes ${newest.version}` }];
  });
  const fix =
    'after the import put the branch in order, the latest last:\nPUT /apis/registry/v3/groups/GROUP/artifacts/ID/branches/latest/versions   {"versions": ["2", "1"]}';
  return found('registry.latest-moves', cases, ['artifact', ''], fix);
}

/** The archive does not say who owns an artifact; where one person wrote all of its versions, it is most likely that one. */
function ownerMoves(artifacts: ReadonlyMap<string, readonly ArchivedVersion[]>): readonly Finding[] {
  const cases = [...artifacts].flatMap(([name, versions]) => {
    const [first] = versions.toSorted((a, b) => a.globalId - b.globalId);
    const latest = versions.find(({ isLatest }) => isLatest) ?? first;
    if (first === undefined || latest === undefined || first.createdBy === latest.createdBy) return [];
    return [
      { name, detail: `${first.createdBy ?? ''} made the first version, ${latest.createdBy ?? ''} owns it then` },
    ];
  });
  const fix = 'after the import write the owner:   PUT /apis/registry/v3/groups/GROUP/artifacts/ID   {"owner": "NAME"}';
  return found('registry.owner-moves', cases, ['artifact', 'whose latest version another user made'], fix);
}

const notJson: ReadonlySet<string> = new Set(['XML', 'XSD', 'WSDL', 'GRAPHQL']);

function wrongTypes({ versions }: Foreseen): readonly Case[] {
  return versions
    .filter(({ entity, fate }) => fate !== 'lost' && notJson.has(entity.artifactType ?? ''))
    .map(({ entity }) => ({ name: versionName(entity), detail: entity.artifactType ?? '' }));
}
