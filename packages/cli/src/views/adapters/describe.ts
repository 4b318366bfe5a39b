/** One kind of store: what it was tested with, and for each side the permission, the capabilities and the limits. */
import type { AdapterFacts, SideFacts } from '@keyferry/adapters';
import type { StoreCapabilities, TargetCapabilities } from '@keyferry/core';
import { columns } from '../layout/columns.ts';
import { bytesText, countText, durationText } from '../layout/numbers.ts';
import { envelope, type View, type ViewContext } from '../view.ts';

export interface DescribedAdapter {
  readonly kind: string;
  readonly description: string;
  readonly facts: AdapterFacts;
}

export const describedAdapterView: View<DescribedAdapter> = {
  human: ({ kind, description, facts }, context) => {
    const { testedWith, source, target } = facts;
    return [
      `${context.palette.strong(kind)}   ${description}`,
      ...rowsText([
        ['tested', testedWith],
        ...(source.length === 0 ? [['source', 'no'] as const] : []),
        ...(target.length === 0 ? [['target', 'no'] as const] : []),
      ]),
      ...source.flatMap((side) => sideText('As a source', side, [], context)),
      ...target.flatMap((side) => sideText('As a target', side, limitRows(side.capabilities), context)),
      '',
    ].join('\n');
  },
  json: ({ kind, description, facts: { testedWith, source, target } }, warnings) =>
    envelope('keyferry.adapter', warnings, { kind, description, testedWith, source: source.map(readingSide), target }),
};

/** A store that can be on either side has one set of capabilities; writing is no matter of a source. */
function readingSide({ form, capabilities, permission }: SideFacts): SideFacts {
  const { orderedScan, pinnedView, expiry, positionIsContent, hidesKeys, lossyText } = capabilities;
  return {
    form,
    capabilities: { orderedScan, pinnedView, expiry, positionIsContent, hidesKeys, lossyText },
    permission,
  };
}

type Row = readonly [name: string, text: string];

function sideText(title: string, side: SideFacts, limits: readonly Row[], { palette }: ViewContext): string[] {
  const heading = side.form === null ? title : `${title}, ${side.form}`;
  return [
    '',
    palette.strong(heading),
    ...rowsText([['needs', side.permission], ...canRows(side.capabilities), ...limits]),
  ];
}

function canRows(capabilities: StoreCapabilities): readonly Row[] {
  const { orderedScan, pinnedView, expiry, positionIsContent, hidesKeys, lossyText } = capabilities;
  return [
    ['scan', orderedScan ? 'in byte order, so that two stores can be merged' : 'in no order'],
    ['view', pinnedView ? 'one state for as long as it is open' : 'may be half of one state and half of the next'],
    ['expiry', expiry ? 'records may end by themselves' : 'none: every record stays'],
    ['position', positionIsContent ? 'a digest of the content' : "a point in the store's history"],
    ['hides', hidesKeys ?? 'nothing'],
    ['text', lossyText ? 'bytes that are not UTF-8 are shown as U+FFFD' : 'every byte as it is'],
  ];
}

function limitRows(capabilities: TargetCapabilities): readonly Row[] {
  const { fencing, batchKeysMax, batchBytesMax, recordBytesMax, emptyKeys, reservedPrefix } = capabilities;
  const { expiryToleranceMs, leaseBucketMs } = capabilities;
  return [
    ['fencing', fencing ? 'the store itself refuses a writer that lost its claim' : 'none'],
    ['request', `at most ${countText(batchKeysMax)} records and ${bytesText(batchBytesMax)}`],
    ['record', recordBytesMax === null ? 'of any size' : `at most ${bytesText(recordBytesMax)}, key and value`],
    ['empty key', emptyKeys ? 'taken' : 'refused'],
    ['own keys', reservedPrefix === null ? 'in tables of their own' : `under ${reservedPrefix}`],
    [
      'late',
      expiryToleranceMs === 0
        ? 'records end when they should'
        : `records may outlive their expiry by ${durationText(expiryToleranceMs)}`,
    ],
    ...(leaseBucketMs === undefined
      ? []
      : [['leases', `one for the records that expire within the same ${durationText(leaseBucketMs)}`] as const]),
  ];
}

const rowsText = (rows: readonly Row[]): string[] =>
  columns(
    rows.map(([name, text]) => [`  ${name}`, text]),
    [{ align: 'left', min: 11 }, { align: 'left' }],
  );
