/**
 * Finds the line of a byte offset in a stream, for error messages. Remembers the newlines of the last two pieces only:
 * what is wrong was seen in the piece at hand, or began in the one before.
 */
export class LineLocator {
  private lines = 1;
  private bytes = 0;
  private current: number[] = [];
  private previous: number[] = [];
  private currentFirstLine = 1;
  private previousFirstLine = 1;

  write(piece: Uint8Array): void {
    this.previous = this.current;
    this.previousFirstLine = this.currentFirstLine;
    this.current = [];
    this.currentFirstLine = this.lines;
    for (let at = piece.indexOf(0x0a); at >= 0; at = piece.indexOf(0x0a, at + 1)) this.current.push(this.bytes + at);
    this.lines += this.current.length;
    this.bytes += piece.byteLength;
  }

  /** Counts from 1; the first line it still knows for an offset that lies further back. */
  lineOf(offset: number): number {
    const first = this.current[0];
    const inCurrent = first !== undefined && offset > first;
    const newlines = inCurrent ? this.current : this.previous;
    const firstLine = inCurrent ? this.currentFirstLine : this.previousFirstLine;
    return firstLine + newlines.filter((at) => at < offset).length;
  }
}
