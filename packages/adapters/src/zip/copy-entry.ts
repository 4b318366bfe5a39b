/** Entries of one zip into another that is being written, byte for byte. */
import { Readable } from 'node:stream';
import type yazl from 'yazl';
import type { ZipEntries } from './zip-entries.ts';

export interface CopiedEntry {
  readonly from: ZipEntries;
  readonly name: string;
  readonly into: yazl.ZipFile;
  /** Its name there. */
  readonly as: string;
  readonly mtime: Date;
}

/** Read once it is its turn. What goes wrong is an error of `into`: yazl itself does not listen to a stream that it is given. */
export function copyEntry({ from, name, into, as, mtime }: CopiedEntry): void {
  into.addReadStreamLazy(as, { mtime }, (take) => {
    const stream = Readable.from(from.pieces(name));
    stream.on('error', (error) => into.emit('error', error));
    take(null, stream);
  });
}
