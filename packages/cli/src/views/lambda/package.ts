/** The bundles that were made for functions. */
import { basename } from 'node:path';
import type { Packaged } from '@keyferry/lambda/packaging';
import { columns } from '../layout/columns.ts';
import { pasteable } from '../layout/commands.ts';
import { countText } from '../layout/numbers.ts';
import { envelope, type View } from '../view.ts';

export type ShownPackage = Packaged;

export const packageView: View<ShownPackage> = {
  human: ({ migration, folder, functions }, context) =>
    [
      `${context.palette.strong(`Packaged ${migration}`)}   ${folder}`,
      ...columns(
        functions.map(({ name, bytes }) => [`  ${name}/`, `${countText(Math.ceil(bytes / 1000))} kB`, 'index.handler']),
        [{ align: 'left' }, { align: 'right', gap: 3 }, { align: 'left', gap: 3 }],
      ),
      `Next: ${pasteable(`keyferry lambda serve ${folder}`, context)}`,
      '',
    ].join('\n'),
  json: ({ migration, folder, functions }, warnings) =>
    envelope('keyferry.lambda-package', warnings, {
      migration,
      folder,
      functions: functions.map(({ name, folder: own, bytes, handler, libraries }) => ({
        name,
        folder: own,
        handler,
        bytes,
        libraries: libraries.map((path) => basename(path)),
      })),
    }),
};
