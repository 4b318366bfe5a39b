/**
 * The only way out: everything that keyferry prints or writes for people and programs passes through here and is
 * redacted on the way, whichever stream it goes to. A secret may come back inside a server's error message, so the
 * last moment is the only safe one.
 *
 *     result → stdout      note → stderr, above the live progress      file lines → redacted by `clean`
 */
export type Redact = (text: string) => string;

interface Stream {
  write(text: string): unknown;
}

/** Something that is drawn in place at the end of stderr and has to make way for other lines. */
export interface Overlay {
  clear(): void;
  draw(): void;
}

export class Output {
  private readonly stdout: Stream;
  private readonly stderr: Stream;
  private readonly redactors: Redact[] = [];
  overlay: Overlay | null = null;

  /** @param stdout where results go: stderr's stream when another writer owns stdout (`--events -`) */
  constructor(stdout: Stream, stderr: Stream) {
    this.stdout = stdout;
    this.stderr = stderr;
  }

  /** From now on this redactor is asked too; one is added with each configuration that is loaded. */
  addRedactor(redact: Redact): void {
    this.redactors.push(redact);
  }

  clean(text: string): string {
    return this.redactors.reduce((cleaned, redact) => redact(cleaned), text);
  }

  /** Redacts every string within, keys of objects included, so that escapes of JSON cannot hide a secret. */
  cleanDeep(value: unknown): unknown {
    if (typeof value === 'string') return this.clean(value);
    if (Array.isArray(value)) return value.map((each) => this.cleanDeep(each));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [this.clean(key), this.cleanDeep(each)]));
  }

  result(text: string): void {
    this.overlay?.clear();
    this.stdout.write(this.clean(withNewline(text)));
  }

  json(document: unknown): void {
    this.overlay?.clear();
    this.stdout.write(`${JSON.stringify(this.cleanDeep(document), null, 2)}\n`);
  }

  note(text: string): void {
    this.overlay?.clear();
    this.stderr.write(this.clean(withNewline(text)));
    this.overlay?.draw();
  }
}

const withNewline = (text: string): string => (text === '' || text.endsWith('\n') ? text : `${text}\n`);
