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
import { type Machine, sha256 } from './machine.ts';

/** `content` null: the file goes. */
export interface FileChange {
  readonly path: string;
  readonly content: Buffer | null;
}

export function originOf(origin: BalancerOrigin, path: string): Buffer | null {
  const base64 = origin.files.find((file) => file.path === path)?.base64 ?? null;
  return base64 === null ? null : Buffer.from(base64, 'base64');
}

export class Adoption {
  private readonly balancer: string;
  private readonly machine: Machine;
  private readonly origin: BalancerOrigin;
  private readonly changes: readonly FileChange[];

  constructor(balancer: string, machine: Machine, origin: BalancerOrigin, changes: readonly FileChange[]) {
    this.balancer = balancer;
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
      const known = [digestOf(originOf(this.origin, path)), digestOf(content), written.get(path)];
      if (known.includes(digestOf(now))) continue;
      const detail = `${path} is neither what it was when the migration began nor what keyferry writes`;
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
