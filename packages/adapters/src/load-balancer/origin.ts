/**
 * The files of a balancer before and after adoption, and the way between them: all of them, or none.
 *
 *     as they were ──apply──► written, checked, taken by the process
 *            ▲                      │ a check or a reload fails
 *            └──────────────────────┘ the bytes of before are put back, and the error says why
 *
 * A file that is neither what it was nor what is to be written was changed by somebody else: nothing is written over it.
 */
import { type BalancerOrigin, KeyferryError } from '@keyferry/core';
import { type Machine, quote, sha256 } from './machine.ts';

/** `content` null: the file goes. */
export interface FileChange {
  readonly path: string;
  readonly content: Buffer | null;
}

/** What the files were, by path; null: it was not there. */
export type OriginBytes = ReadonlyMap<string, Buffer | null>;

/** Who finds a file changed is told what to hold it against, and to put back. @param digest null: nobody knows it any more */
export function notAsWritten(path: string, directory: string, digest: string | null): string {
  const is = `${path} is not what keyferry wrote`;
  return digest === null ? is : `${is}, which is ${directory}/written/${digest}`;
}

/** The copies of what the files were, and of what became of them, on the balancer's machine; named by their SHA-256. */
export class OriginCopies {
  private readonly balancer: string;
  private readonly machine: Machine;
  private readonly directory: string;
  private readonly written: string;

  /** @param directory keyferry's own, on that machine */
  constructor(balancer: string, machine: Machine, directory: string) {
    this.balancer = balancer;
    this.machine = machine;
    this.directory = `${directory}/before`;
    this.written = `${directory}/written`;
  }

  /**
   * From the files as far as they are still what they were, else from the copies.
   * @throws {KeyferryError} `balancer.changed`
   */
  async read({ files }: BalancerOrigin): Promise<OriginBytes> {
    const bytes = new Map<string, Buffer | null>();
    for (const { path, sha256: digest } of files)
      bytes.set(path, digest === null ? null : await this.find(path, digest));
    return bytes;
  }

  /** Before the first change. Mode and owner go along: what only some may read in the file, only they may in its copy. */
  async keep({ files }: BalancerOrigin): Promise<void> {
    for (const { path, sha256: digest } of files) {
      if (digest !== null) await this.copy(path, this.directory, digest);
    }
  }

  /** After adoption, of the files as keyferry left them. @param guarded those that others write too */
  async keepWritten({ files }: BalancerOrigin, guarded: readonly string[]): Promise<void> {
    for (const { path, sha256: digest } of files) {
      if (digest !== null && guarded.includes(path)) await this.copy(path, this.written, digest);
    }
  }

  private async copy(path: string, directory: string, digest: string): Promise<void> {
    const copy = `${directory}/${digest}`;
    if ((await this.machine.read(copy)) !== null) return;
    const script = [
      'set -e',
      `mkdir -p ${quote(directory)}`,
      `cp -p ${quote(path)} ${quote(`${copy}.new`)}`,
      `sync ${quote(`${copy}.new`)}`,
      `mv -f ${quote(`${copy}.new`)} ${quote(copy)}`,
      `sync ${quote(directory)}`,
    ].join('\n');
    const ran = await this.machine.run(script);
    if (ran.code !== 0) throw this.machine.unreachable(`${path} cannot be copied: ${ran.stderr}`);
  }

  /** With keyferry's directory, if nothing else is in it. */
  async remove({ files }: BalancerOrigin): Promise<void> {
    await this.machine.remove(files.flatMap(({ sha256: digest }) => (digest === null ? [] : [this.copyOf(digest)])));
    const parent = this.directory.slice(0, this.directory.lastIndexOf('/'));
    await this.machine.run(
      `rm -f ${quote(this.written)}/*; rmdir ${quote(this.directory)} ${quote(this.written)} ${quote(parent)} 2>/dev/null; true`,
    );
  }

  private async find(path: string, digest: string): Promise<Buffer> {
    for (const place of [path, this.copyOf(digest)]) {
      const content = await this.machine.read(place);
      if (content !== null && sha256(content) === digest) return content;
    }
    const detail = `${path} is not what it was when the migration began, and its copy ${this.copyOf(digest)} is not there`;
    throw new KeyferryError('balancer.changed', { balancer: this.balancer, detail });
  }

  private copyOf(digest: string): string {
    return `${this.directory}/${digest}`;
  }
}

export class Adoption {
  private readonly balancer: string;
  private readonly machine: Machine;
  private readonly origin: OriginBytes;
  private readonly changes: readonly FileChange[];
  private readonly directory: string;

  constructor(
    { name, directory }: { readonly name: string; readonly directory: string },
    machine: Machine,
    origin: OriginBytes,
    changes: readonly FileChange[],
  ) {
    this.balancer = name;
    this.directory = directory;
    this.machine = machine;
    this.origin = origin;
    this.changes = changes;
  }

  /**
   * @param guarded the files that others write too; keyferry's own are written over
   * @param written SHA-256 of what keyferry wrote there before, by path
   * @throws {KeyferryError} `balancer.changed`
   */
  async assertOurs(guarded: readonly string[], written: ReadonlyMap<string, string> = new Map()): Promise<void> {
    for (const { path, content } of this.changes) {
      if (!guarded.includes(path)) continue;
      const now = await this.machine.read(path);
      const known = [digestOf(this.origin.get(path) ?? null), digestOf(content), written.get(path)];
      if (known.includes(digestOf(now))) continue;
      const found = notAsWritten(path, this.directory, written.get(path) ?? null);
      const detail = `${found}, and not what it was when the migration began`;
      throw new KeyferryError('balancer.changed', { balancer: this.balancer, detail });
    }
  }

  /** Writes, then has `take` check and reload. When that fails, what was there is put back, and `takeBack` reloads that. */
  async apply(take: () => Promise<void>, takeBack: () => Promise<void>): Promise<void> {
    const before: FileChange[] = [];
    for (const { path } of this.changes) before.push({ path, content: await this.machine.read(path) });
    try {
      await this.put(this.changes);
      await take();
    } catch (error) {
      await this.put(before);
      await takeBack();
      throw error;
    }
  }

  private async put(changes: readonly FileChange[]): Promise<void> {
    for (const { path, content } of changes) {
      const now = await this.machine.read(path);
      if (digestOf(now) === digestOf(content)) continue;
      if (content === null) await this.machine.remove([path]);
      else await this.machine.write(path, content);
    }
  }
}

function digestOf(content: Buffer | null): string | null {
  return content === null ? null : sha256(content);
}
