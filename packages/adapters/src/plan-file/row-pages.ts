/** Reads rows back, a page at a time: lines of a byte stream, cut at line ends and parsed. Stops the stream when the reader does. */
import type { Readable } from 'node:stream';

export const rowsPerPage = 1000;
const lineEnd = 0x0a;

/**
 * @param parse turns a line into a row, or throws
 * @param seen is shown every byte before it is parsed
 */
export async function* readRowPages<Row>(
  stream: Readable,
  parse: (line: string) => Row,
  seen: (bytes: Buffer) => void = () => undefined,
): AsyncGenerator<readonly Row[]> {
  let page: Row[] = [];
  let rest: Buffer[] = [];
  // A loop over a stream destroys it when it is left early.
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    seen(chunk);
    let start = 0;
    for (let end = chunk.indexOf(lineEnd); end !== -1; end = chunk.indexOf(lineEnd, start)) {
      const line =
        rest.length === 0 ? chunk.subarray(start, end) : Buffer.concat([...rest, chunk.subarray(start, end)]);
      rest = [];
      start = end + 1;
      page.push(parse(line.toString('utf8')));
      if (page.length === rowsPerPage) {
        yield page;
        page = [];
      }
    }
    if (start < chunk.length) rest.push(chunk.subarray(start));
  }
  if (rest.length > 0) page.push(parse(Buffer.concat(rest).toString('utf8')));
  if (page.length > 0) yield page;
}
