/**
 * JSON as a stream of events, from bytes that come in pieces: the tokenizer finds the tokens, this checks that they
 * stand where they may.
 *
 * Why not JSON.parse: a recursive answer can be larger than the longest JavaScript string (about 512 MiB). Why not the
 * package's own parser: it builds every object it sees; the tree walker needs a few fields of each and keeps none.
 */
import { Tokenizer, TokenizerError, TokenType } from '@streamparser/json';

/** What the events go to. `offset`: place of the token in the stream, in bytes. */
export interface JsonVisitor {
  open(kind: 'object' | 'array', offset: number): void;
  close(offset: number): void;
  /** Name of the next value of the innermost object. */
  name(name: string, offset: number): void;
  /** Numbers come as they are written: an index may be larger than a JavaScript number holds exactly. */
  scalar(value: string | boolean | null | JsonNumber, offset: number): void;
  /** Makes the error for bytes that are not JSON, or not all of it. */
  broken(detail: string, offset: number): Error;
}

export interface JsonNumber {
  readonly number: string;
}

type Expects = 'value' | 'value-or-end' | 'name' | 'name-or-end' | 'colon' | 'comma-or-end' | 'nothing';

export class JsonEvents {
  private readonly tokenizer = new ExactTokenizer();
  private readonly visitor: JsonVisitor;
  /** True for an object, false for an array; the innermost one last. */
  private readonly nesting: boolean[] = [];
  private expects: Expects = 'value';
  private offset = 0;

  constructor(visitor: JsonVisitor) {
    this.visitor = visitor;
    this.tokenizer.onToken = ({ token, value, offset }) => this.take(token, value, offset);
    this.tokenizer.onError = (error) => {
      throw error;
    };
  }

  write(piece: Uint8Array): void {
    this.guarded(() => this.tokenizer.write(piece));
  }

  /** Call at the end of the stream: throws unless exactly one whole value was seen. */
  end(): void {
    if (this.expects !== 'nothing') throw this.visitor.broken('it ends too early', this.offset);
    this.guarded(() => {
      if (!this.tokenizer.isEnded) this.tokenizer.end();
    });
  }

  private take(token: TokenType, value: unknown, offset: number): void {
    this.offset = offset;
    switch (token) {
      case TokenType.LEFT_BRACE:
      case TokenType.LEFT_BRACKET: {
        this.startValue();
        const isObject = token === TokenType.LEFT_BRACE;
        this.nesting.push(isObject);
        this.expects = isObject ? 'name-or-end' : 'value-or-end';
        this.visitor.open(isObject ? 'object' : 'array', offset);
        return;
      }
      case TokenType.RIGHT_BRACE:
      case TokenType.RIGHT_BRACKET: {
        const isObject = this.nesting.pop();
        const mayEnd = this.expects === 'comma-or-end' || this.expects === (isObject ? 'name-or-end' : 'value-or-end');
        if (!mayEnd || isObject !== (token === TokenType.RIGHT_BRACE)) throw this.misplaced();
        this.endValue();
        this.visitor.close(offset);
        return;
      }
      case TokenType.COLON:
        if (this.expects !== 'colon') throw this.misplaced();
        this.expects = 'value';
        return;
      case TokenType.COMMA:
        if (this.expects !== 'comma-or-end') throw this.misplaced();
        this.expects = this.nesting.at(-1) === true ? 'name' : 'value';
        return;
      default:
        this.takeScalar(token, value, offset);
    }
  }

  private takeScalar(token: TokenType, value: unknown, offset: number): void {
    if (this.expects === 'name' || this.expects === 'name-or-end') {
      if (typeof value !== 'string') throw this.misplaced();
      this.expects = 'colon';
      this.visitor.name(value, offset);
      return;
    }
    this.startValue();
    this.endValue();
    if (token === TokenType.NUMBER) this.visitor.scalar({ number: this.tokenizer.numberText }, offset);
    else if (typeof value === 'string' || typeof value === 'boolean') this.visitor.scalar(value, offset);
    else this.visitor.scalar(null, offset);
  }

  private startValue(): void {
    if (this.expects !== 'value' && this.expects !== 'value-or-end') throw this.misplaced();
  }

  private endValue(): void {
    this.expects = this.nesting.length === 0 ? 'nothing' : 'comma-or-end';
  }

  private misplaced(): Error {
    return this.visitor.broken('it is not JSON', this.offset);
  }

  /** What a visitor throws passes through the tokenizer; its own errors are bytes that are no token, or no UTF-8. */
  private guarded(run: () => void): void {
    try {
      run();
    } catch (error) {
      if (error instanceof TokenizerError) throw this.visitor.broken(`it is not JSON: ${error.message}`, this.offset);
      if (error instanceof TypeError && 'code' in error && error.code === 'ERR_ENCODING_INVALID_ENCODED_DATA') {
        throw this.visitor.broken('it holds bytes that are not UTF-8', this.offset);
      }
      throw error;
    }
  }
}

class ExactTokenizer extends Tokenizer {
  /** The number token just handed out, as written. */
  numberText = '';

  constructor() {
    super();
    // The package decodes a string in runs and, at the start of each, takes U+FEFF for a byte order mark and drops it
    // [0.0.26]: a key or value would arrive shorter than it is, and verify would read it just so.
    const strings: unknown = this['bufferedString'];
    Object.assign(strings as object, { decoder: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }) });
  }

  protected override parseNumber(text: string): number {
    this.numberText = text;
    return Number(text);
  }
}
