/** What no archive holds and 3.x did not get by its API either, by name: somebody has to bring it. */
import type { CarriedReceipt, DeltaReceipt } from '@keyferry/core';
import type { ParallelStatus } from '@keyferry/engine';
import { textForDisplay } from '../layout/keys.ts';
import { countText } from '../layout/numbers.ts';
import type { ViewContext } from '../view.ts';

const shownMax = 10;

/** None before the import, and where all was carried. */
export function notCarriedLines({ evidence }: ParallelStatus, { palette }: ViewContext): string[] {
  const of = (name: string) => evidence.find((each) => each.phase === 'import' && each.name === name)?.data;
  const delta = of('delta') as DeltaReceipt | undefined;
  const { notCarried } = delta?.carried ?? (of('carried') as CarriedReceipt | undefined) ?? { notCarried: [] };
  if (notCarried.length === 0) return [];
  const more = notCarried.length - shownMax;
  return [
    '',
    palette.strong('Not carried over, for somebody to bring by hand'),
    ...notCarried.slice(0, shownMax).map(({ what, why }) => `  ${textForDisplay(what)}: ${textForDisplay(why)}`),
    ...(more > 0 ? [`  and ${countText(more)} more, which keyferry report names`] : []),
  ];
}
