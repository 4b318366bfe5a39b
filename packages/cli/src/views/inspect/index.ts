/** What a data directory holds: the member, its log, the v2 keys, and what an etcd 3.6 would say to it. */
import type { DatadirReport } from '@keyferry/adapters/etcd-v2-datadir';
import { keyForDisplay, keyToJson, type Key } from '@keyferry/core';
import { columns, indent } from '../layout/columns.ts';
import { bytesText, counted, countText } from '../layout/numbers.ts';
import { envelope, type View, type ViewContext } from '../view.ts';

type Content = NonNullable<DatadirReport['content']>;

export const inspectView: View<DatadirReport> = {
  human: inspectHuman,
  json: (report, warnings) => envelope('keyferry.inspect', warnings, jsonBody(report)),
};

function jsonBody({ content, ...report }: DatadirReport) {
  return { ...report, content: content === null ? null : { ...content, v2: v2Json(content.v2) } };
}

function v2Json({ largest, ...v2 }: Content['v2']) {
  const key = largest === null ? null : { key: keyToJson(largest.key as Key), valueBytes: largest.valueBytes };
  return { ...v2, largest: key };
}

const left = { align: 'left' } as const;

function inspectHuman(report: DatadirReport, context: ViewContext): string {
  const { palette } = context;
  const { content, problem } = report;
  const rows = [
    ...(content === null ? [] : memberRows(content)),
    ['files', filesText(report)],
    ['server', serverText(report)],
    ...(content === null ? [] : [...logRows(content), ...keyRows(content)]),
    ...databaseRows(report.backend),
  ];
  return [
    palette.strong(report.directory),
    ...indent(columns(rows, [left, { ...left, gap: 3 }])),
    ...(content === null ? [] : ['', ...etcd36Lines(content, context)]),
    '',
    ...(problem === null
      ? [`${palette.good('It can be migrated from')}: kind: etcd-v2-datadir, dataDir: ${report.directory}`]
      : problemLines(problem, context)),
    '',
  ].join('\n');
}

function memberRows({ memberId, clusterId, clusterVersion, members }: Content): string[][] {
  const named = members.map(({ id, name }) => (name === null ? id : `${name} (${id})`)).join(', ');
  const version = clusterVersion === null ? 'version not stated' : `version ${clusterVersion}`;
  return [
    ['member', `${memberId ?? 'unknown'} of cluster ${clusterId ?? 'unknown'}, ${version}`],
    ['members', members.length === 0 ? 'none in it, as in what etcdctl backup wrote' : named],
  ];
}

function filesText({ snapshots, log }: DatadirReport): string {
  const begunWith = snapshots.find(({ state }) => state === 'begun-with');
  const broken = snapshots.filter(({ state }) => state === 'damaged').length;
  return [
    `${counted(log.segments, 'segment')} of log, ${bytesText(log.bytes)}`,
    `${counted(snapshots.length, 'snapshot')} of v2${broken === 0 ? '' : `, ${countText(broken)} damaged`}`,
    ...(begunWith === undefined ? [] : [`begun with ${begunWith.file.split('/').at(-1) ?? ''}`]),
  ].join('; ');
}

function serverText({ server }: DatadirReport): string {
  if (server.kind === 'none') return 'none is at work on it';
  if (server.kind === 'unknown') return 'this system does not tell whether one is at work on it';
  return `${server.process === null ? 'one' : `process ${server.process}`} is at work on it`;
}

function logRows(content: Content): string[][] {
  const { term, commitIndex, lastIndex, uncommitted, tornBytes } = content;
  const extras = [
    ...(uncommitted === 0 ? [] : [`${counted(uncommitted, 'entry', 'entries')} not committed`]),
    ...(tornBytes === 0 ? [] : [`${counted(tornBytes, 'byte')} of a torn tail`]),
  ];
  return [['log', [`term ${term}, committed ${commitIndex}, last ${lastIndex}`, ...extras].join('; ')]];
}

function keyRows({ v2, v2Index, expiredFiles }: Content): string[][] {
  const { files, directories, hiddenFiles, expiringFiles, bytes, largest, internal, auth } = v2;
  const some = (count: number, what: string): readonly string[] => (count === 0 ? [] : [`${countText(count)} ${what}`]);
  const parts = [
    ...some(expiringFiles, 'with a TTL'),
    ...some(expiredFiles, 'whose time ran out'),
    ...some(hiddenFiles, 'with a hidden name'),
  ];
  return [
    [
      'v2 keys',
      `${counted(files, 'key')}, ${bytesText(bytes)}, in ${counted(directories, 'directory', 'directories')}; index ${v2Index}`,
    ],
    ...(parts.length === 0 ? [] : [['', parts.join(', ')]]),
    ...(largest === null
      ? []
      : [['', `largest ${keyForDisplay(largest.key as Key)}, ${bytesText(largest.valueBytes)}`]]),
    ["etcd's own", `${counted(internal, 'node')} of members and version, ${countText(auth)} of v2 users and roles`],
  ];
}

function databaseRows(backend: DatadirReport['backend']): string[][] {
  if (backend === null) return [['v3 keys', 'none: there is no member/snap/db']];
  const { file, bytes, content, unread } = backend;
  const place = `${bytesText(bytes)} in ${file}`;
  if (content === null) {
    return [
      ['v3 keys', unread ?? 'not counted'],
      ['', place],
    ];
  }
  const { keys, leasedKeys, leases, users, revision, consistentIndex } = content;
  const parts = [
    `${counted(keys, 'key')}, ${bytesText(content.bytes)}`,
    ...(leases === 0 ? [] : [`${countText(leasedKeys)} of them on ${counted(leases, 'lease')}`]),
    ...(users === 0 ? [] : [counted(users, 'user')]),
  ];
  const reach = consistentIndex === null ? '' : `, as of entry ${consistentIndex}; the log may hold later ones`;
  return [
    ['v3 keys', `${parts.join('; ')}; revision ${revision}${reach}`],
    ['', place],
  ];
}

function etcd36Lines({ refusedBy36, v2 }: Content, { palette }: ViewContext): string[] {
  const lost =
    v2.hiddenFiles === 0
      ? []
      : [`  it drops ${counted(v2.hiddenFiles, 'hidden key')} of v2 without a word: its check does not see them`];
  if (refusedBy36.length === 0) {
    return [`etcd 3.6 ${palette.good('would start')} on it, as far as v2 is concerned`, ...lost];
  }
  return [
    `etcd 3.6 ${palette.bad('would refuse to start')} on it`,
    ...refusedBy36.map((why) => `  why  ${why}`),
    ...lost,
    '  out  1. what is still wanted: move it to v3 with keyferry, from this directory',
    '       2. etcdctl snapshot save FILE from the old server, then on each member   etcdutl snapshot restore FILE',
    '          --data-dir NEW, with the flags of a new cluster: the new directories hold no v2 content',
    '          or, on 3.5 with --enable-v2: delete every key of v2, restart with --snapshot-count=1, make some writes',
    '       3. look again: keyferry inspect, which sees hidden keys too, and etcdutl check v2store (from 3.5.18 on)',
  ];
}

function problemLines(
  { code, message, remedy }: NonNullable<DatadirReport['problem']>,
  { palette }: ViewContext,
): string[] {
  const rows = remedy.split('\n').map((line, i) => [i === 0 ? 'fix' : '', line]);
  return [
    `${palette.bad('It cannot be migrated from as it is')}: ${message}`,
    ...indent(columns([...rows, ['more', `keyferry explain ${code}`]], [left, { ...left, gap: 3 }])),
  ];
}
