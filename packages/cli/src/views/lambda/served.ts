/** What a local cloud did, by function and end. */
import { columns } from '../layout/columns.ts';
import { countText } from '../layout/numbers.ts';
import { envelope, type View } from '../view.ts';

export interface Served {
  readonly folder: string;
  /** How many invocations of a function ended how: returned, failed, timed-out, died, throttled. */
  readonly ends: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

export const servedView: View<Served> = {
  human: ({ folder, ends }, { palette }) =>
    [
      `${palette.strong('Served')}   ${folder}`,
      ...columns(
        Object.entries(ends).map(([name, counts]) => [
          `  ${name}`,
          Object.entries(counts)
            .map(([kind, count]) => `${countText(count)} ${kind}`)
            .join(', '),
        ]),
        [{ align: 'left' }, { align: 'left', gap: 3 }],
      ),
      '',
    ].join('\n'),
  json: ({ folder, ends }, warnings) =>
    envelope('keyferry.lambda-served', warnings, {
      folder,
      functions: Object.entries(ends).map(([name, counts]) => ({
        name,
        ends: Object.entries(counts).map(([kind, count]) => ({ kind, count })),
      })),
    }),
};
