/** Cuts a stream of bytes into lines by hand: several times faster than readline, and it knows each line's number. */

export interface LineTaker {
  /** @param line without its end; only good until the next call. Lines count from 1. */
  line(line: Uint8Array, number: number): void;
  /** Makes the error for a line longer than `bytesMax`. */
  tooLong(number: number): Error;
}

const newline = 0x0a;

export class LineSplitter {
  private readonly taker: LineTaker;
  private readonly bytesMax: number;
  private pending: Uint8Array[] = [];
  private pendingBytes = 0;
  private number = 0;

  constructor(bytesMax: number, taker: LineTaker) {
    this.bytesMax = bytesMax;
    this.taker = taker;
  }

  write(piece: Uint8Array): void {
    let from = 0;
    for (let at = piece.indexOf(newline); at >= 0; at = piece.indexOf(newline, from)) {
      this.emit(piece.subarray(from, at));
      from = at + 1;
    }
    this.keep(piece.slice(from)); // a copy: the piece's memory may be used again
  }

  /** Call at the end of the stream: the last line may lack its end. */
  end(): void {
    if (this.pendingBytes > 0) this.emit(new Uint8Array(0));
  }

  private emit(tail: Uint8Array): void {
    this.number += 1;
    if (this.pendingBytes === 0) return this.taker.line(tail, this.number);
    this.pending.push(tail);
    const line = Buffer.concat(this.pending);
    this.pending = [];
    this.pendingBytes = 0;
    this.taker.line(line, this.number);
  }

  private keep(rest: Uint8Array): void {
    if (rest.byteLength === 0) return;
    this.pending.push(rest);
    this.pendingBytes += rest.byteLength;
    if (this.pendingBytes > this.bytesMax) throw this.taker.tooLong(this.number + 1);
  }
}
