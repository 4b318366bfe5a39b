/**
 * What differs between releases of 3.x in how they import an archive of 2.x. The defaults of a release's limits are its own;
 * an operator may have set others.
 */
import { KeyferryError } from '@keyferry/core';

export interface TargetRelease {
  readonly version: string;
  /** Why it is no target at all; null: it is one. */
  readonly unfit: string | null;
  /** Refuses a content that has two references of one name. */
  readonly refusesEqualReferences: boolean;
  /** Takes some JSON for kinds that its importer cannot store (../archive/content-kind.ts). */
  readonly refusesForeignKinds: boolean;
  /** Keys of labels that differ only in case are one key. */
  readonly foldsLabelKeys: boolean;
  /** Deletes contents that no version uses, an hour after the start and every hour. */
  readonly deletesUnusedContents: boolean;
  readonly limits: ImportLimits;
}

export interface ImportLimits {
  /** Of the request's body; `quarkus.http.limits.max-body-size`. */
  readonly uploadBytesMax: number;
  /** Of what is unpacked; infinite before 3.3.1. `apicurio.import.zip.max-entry-size`, `max-total-size`, `max-entry-count`. */
  readonly entryBytesMax: number;
  readonly bytesMax: number;
  readonly entriesMax: number;
}

const mib = 1024 ** 2;

/** @throws {KeyferryError} `usage.invalid`: it is no version of 3.x. */
export function targetRelease(version: string): TargetRelease {
  const parts = /^3\.(\d+)\.(\d+)$/.exec(version);
  if (parts === null) {
    const what = `"${version}" is not a release of Apicurio Registry 3`;
    throw new KeyferryError('usage.invalid', { what, fix: 'give it in full:   3.3.3' });
  }
  const number = Number(parts[1]) * 1000 + Number(parts[2]);
  const isLimited = number >= 3001;
  const unfit =
    number < 6 ? 'it makes no latest branch of what it imports, so that nothing has a latest version' : null;
  return {
    version,
    unfit,
    refusesEqualReferences: number >= 11,
    // Neither is so in 3.0.9, and both are in 3.3.3; between them nobody tried, and a loss that does not come is the lesser harm.
    refusesForeignKinds: number >= 1000,
    foldsLabelKeys: number >= 1000,
    deletesUnusedContents: number >= 2000,
    limits: {
      uploadBytesMax: 50 * mib,
      entryBytesMax: isLimited ? 10 * mib : Number.POSITIVE_INFINITY,
      bytesMax: isLimited ? 100 * mib : Number.POSITIVE_INFINITY,
      entriesMax: isLimited ? 10_000 : Number.POSITIVE_INFINITY,
    },
  };
}
