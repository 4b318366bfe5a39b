/** The directory of the stage, and the archives in it: the names of what a registry held, whose text is their digest, too. */
import type { RegistryArchives } from '@keyferry/core';
import type { Workspace } from '../../src/strategies/parallel/ports.ts';
import { census, noCounts } from './registries.ts';

export class StageFiles {
  readonly byName = new Map<string, string>();

  store(file: string, held: ReadonlySet<string>) {
    this.byName.set(nameOf(file), JSON.stringify([...held].toSorted((a, b) => (a < b ? -1 : 1))));
    return this.receipt(file);
  }

  read(file: string): readonly string[] {
    return JSON.parse(this.byName.get(nameOf(file)) ?? '[]') as readonly string[];
  }

  receipt(file: string) {
    const sha256 = this.byName.get(nameOf(file)) ?? '';
    const { counts } = census(new Set(this.read(file)));
    return { file, bytes: sha256.length, sha256, counts, globalIdMax: 1, contentIdMax: 1, tookMs: 1 };
  }

  digest(file: string): string {
    return this.byName.get(nameOf(file)) ?? '';
  }

  copy(file: string, into: string): void {
    this.byName.set(nameOf(into), this.byName.get(nameOf(file)) ?? '[]');
  }
}

const nameOf = (file: string): string => file.slice(file.lastIndexOf('/') + 1);

export function archives(files: StageFiles): RegistryArchives {
  return {
    receipt: (file) => Promise.resolve(files.receipt(file)),
    foresee: (file, release) =>
      Promise.resolve({
        archive: files.receipt(file),
        release,
        archived: noCounts,
        expected: noCounts,
        nextGlobalId: 1,
        nextContentId: 1,
        findings: [],
      }),
    repair: (file, into) => {
      files.copy(file, into);
      return Promise.resolve({ from: file, into: files.receipt(into), changes: [], changesTotal: 0 });
    },
  };
}

export function workspace(files: StageFiles): Workspace {
  return {
    path: (name) => `archives/${name}`,
    sha256: (name) => Promise.resolve(files.byName.get(name) ?? null),
    writeJson: (name, value) => {
      files.byName.set(name, JSON.stringify(value));
      return Promise.resolve();
    },
    readJson: (name) => {
      const text = files.byName.get(name);
      return Promise.resolve(text === undefined ? null : JSON.parse(text));
    },
    remove: (name) => {
      files.byName.delete(name);
      return Promise.resolve();
    },
  };
}
