/**
 * Registries: the two ends of strategy `parallel`, a schema registry of release 2.x and one of 3.x that takes its place.
 *
 *     OldRegistry ──exportTo──► archive ──foresee──► NewRegistry.importFrom ──► compare ──► (switch) ──► changesSince
 *          ▲                                                                                                  │
 *          └──────────────────────────────── replay ◄─────────────────────────────────────────────────────────┘
 *
 * They are spoken to directly and never through a load balancer: what an export, an import or a comparison says must not
 * rest on where traffic goes just now. Archives are files of this machine, named by paths; whoever goes on after a crash
 * compares `sha256` before it trusts one, and exports once more where it is gone.
 *
 * EVIDENCE: every type below whose docstring begins with that word is kept in the migration's state as canonical JSON.
 * So it is plain JSON (no undefined, no bigint, no Date, no bytes), holds no secret and no content of a schema, is bounded
 * (`…Max` of this file), and has optional facts as null. Instants are milliseconds since 1970, durations milliseconds.
 *
 * Every call rejects soon after `signal` aborts, with the signal's reason. Unless a call says otherwise it fails with codes
 * `store.…` (unreachable, timeout, auth-failed, permission-denied, tls-failed, request-refused, answer-unexpected), and may be
 * repeated. An answer that is not 2xx is never taken for an empty registry.
 */
import type { Finding } from '../plan/finding.ts';
import type { StopSignal } from './environment.ts';

/** Entities that an evidence names one by one; the rest is counted. */
export const registryNamedMax = 200;

/** `group`: without the default group, which is no row. `branch`: only of 3.x. */
export type RegistryKind =
  'group' | 'artifact' | 'version' | 'content' | 'globalRule' | 'groupRule' | 'artifactRule' | 'comment' | 'branch';

/** A kind that the release does not have counts 0. */
export type RegistryCounts = Readonly<Record<RegistryKind, number>>;

/** EVIDENCE. Who answered. */
export interface RegistrySystem {
  /** `2.6.13.Final`, `3.3.3`. */
  readonly version: string;
  /** Its own word on health; null: not to be asked (a management port that was not configured). */
  readonly ready: boolean | null;
  /** Milliseconds that the answer took. */
  readonly tookMs: number;
}

/** EVIDENCE. Everything that the REST API shows, walked page by page without gaps: each listing's sum is its `count`. */
export interface RegistryCensus {
  readonly counts: RegistryCounts;
  /** Highest ids seen; 0: none. */
  readonly globalIdMax: number;
  readonly contentIdMax: number;
  /**
   * SHA-256 in hexadecimal digits over all that was read, in an order of names: two walks of a registry that stands still
   * have the same one. Not comparable between releases.
   */
  readonly sha256: string;
  readonly requests: number;
  readonly tookMs: number;
}

/** EVIDENCE. A file that holds an export. */
export interface ArchiveReceipt {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly counts: RegistryCounts;
  readonly globalIdMax: number;
  readonly contentIdMax: number;
  readonly tookMs: number;
}

/** EVIDENCE. An archive held against a walk of the registry that wrote it: such an export leaves out what it cannot write. */
export interface CompletenessProof {
  readonly complete: boolean;
  readonly census: RegistryCensus;
  /** In the registry and not in the archive, or with other facts in it; the first `registryNamedMax` by name. */
  readonly missing: readonly RegistryDifference[];
  readonly missingTotal: number;
}

/** EVIDENCE. Two exports of one registry held against each other, record by record. */
export interface StillnessProof {
  /** They hold the same. */
  readonly still: boolean;
  /** Of the older one and of the newer one, as files: instants in them differ also where nothing else does. */
  readonly before: string;
  readonly now: string;
  /** What the newer one holds otherwise; the first `registryNamedMax` by kind and name. */
  readonly changes: readonly RegistryDifference[];
  readonly changesTotal: number;
  readonly tookMs: number;
}

/** `what` completes the sentence "NAME …", as in `has contentId 7, expected 5`. Holds no content of a schema. */
export interface RegistryDifference {
  readonly kind: RegistryKind;
  /** `group/artifact:version`, `group/artifact`, a rule's type, an id. */
  readonly name: string;
  readonly what: string;
}

/** EVIDENCE. What an import into an empty registry of that release will make of an archive; from the archive alone. */
export interface Foresight {
  readonly archive: Pick<ArchiveReceipt, 'file' | 'bytes' | 'sha256'>;
  /** Release that it is said of. */
  readonly release: string;
  /** What the archive holds, and what of it will be there as it was. */
  readonly archived: RegistryCounts;
  readonly expected: RegistryCounts;
  /** What the new registry hands out first. */
  readonly nextGlobalId: number;
  readonly nextContentId: number;
  /** Losses, with the cure in each. */
  readonly findings: readonly Finding[];
}

/** EVIDENCE. An archive rewritten so that less is lost, each change in words. */
export interface RepairReceipt {
  readonly from: string;
  readonly into: ArchiveReceipt;
  /** The first `registryNamedMax`; `what` says the change. */
  readonly changes: readonly RegistryDifference[];
  readonly changesTotal: number;
}

/** Works on files; no server. */
export interface RegistryArchives {
  /** @throws {KeyferryError} `file.unreadable`, `registry.archive-invalid` */
  receipt(file: string): Promise<ArchiveReceipt>;
  foresee(file: string, release: string): Promise<Foresight>;
  /** Writes `into` whole or not at all; never over an existing file. */
  repair(file: string, into: string): Promise<RepairReceipt>;
}

/** What no archive holds, read over the API. Goes into a file beside the archive, not into the state. */
export interface BesidesArchive {
  /** PRINCIPAL to role. */
  readonly roles: readonly { readonly principal: string; readonly name: string | null; readonly role: string }[];
  /** Dynamic configuration that differs from its default, by the old release's name. Values of secrets are left out. */
  readonly settings: readonly { readonly name: string; readonly value: string }[];
  readonly owners: readonly { readonly group: string; readonly artifact: string; readonly owner: string }[];
  readonly groupLabels: readonly {
    readonly group: string;
    readonly labels: Readonly<Record<string, string>>;
  }[];
  /** Artifacts whose latest version is not the one with the highest global id: all their versions, the latest last. */
  readonly latestOrders: readonly {
    readonly group: string;
    readonly artifact: string;
    readonly versions: readonly string[];
  }[];
  /** What cannot even be read. */
  readonly unreadable: readonly { readonly what: string; readonly why: string }[];
}

/** EVIDENCE. What of it was carried over by the API, and what was not, by name. */
export interface CarriedReceipt {
  /** Each `kind NAME`; the first `registryNamedMax`. */
  readonly carried: readonly string[];
  readonly carriedTotal: number;
  /** Known to have no place or refused; each a fact for people. */
  readonly notCarried: readonly { readonly what: string; readonly why: string }[];
}

/** What a walk may leave out. */
export interface WalkOptions {
  /**
   * An archive of this registry that was held against a walk before, its contents found equal: those are not read again, as what
   * the id of a content stands for never changes. The walk has the same `sha256` as one that reads all.
   */
  readonly contentsOf?: string;
  /** What was found stays at hand on this machine until the next walk, for `proveComplete` to hold an export against. */
  readonly kept?: boolean;
}

/** What an export is held against. */
export interface ProofOptions extends WalkOptions {
  /** A walk that was `kept`: nothing is walked where it is still at hand, and the proof's census is that one. */
  readonly walked?: RegistryCensus;
}

/** What reading a registry of 3.x back may leave out. */
export interface CompareOptions {
  /** An export of that registry, made after the import: bytes and references of contents are read from it, all else by the API. */
  readonly contentsOf?: string;
}

/** The registry of release 2.x, reached directly. */
export interface OldRegistry {
  /** For people. Holds no secret. */
  readonly where: string;
  system(signal: StopSignal): Promise<RegistrySystem>;
  walk(signal: StopSignal, options?: WalkOptions): Promise<RegistryCensus>;
  /** Streams an export into `file`, whole or not at all (written beside and renamed). Replaces an older one of that name. */
  exportTo(file: string, signal: StopSignal): Promise<ArchiveReceipt>;
  /** Walks, and holds the archive against it. Only of a registry that is frozen is the answer a proof. */
  proveComplete(file: string, signal: StopSignal, options?: ProofOptions): Promise<CompletenessProof>;
  /**
   * Exports once more, and holds that against an export that was complete: one request, where a walk takes one for each version.
   * @param scratch a file for it; replaced, and removed
   */
  stoodStillSince(file: string, scratch: string, signal: StopSignal): Promise<StillnessProof>;
  readBesides(signal: StopSignal): Promise<BesidesArchive>;
  /**
   * Writes into 2.x what was written to 3.x, with the same ids. Harmless to repeat: what is there as it should be is
   * counted as equal. What does not fit was listed by `changesSince` already and is not in `changes`.
   * @param scratch a directory for the archive that carries new versions
   */
  replay(changes: RegistryChanges, scratch: string, signal: StopSignal): Promise<ReplayReceipt>;
  close(): Promise<void>;
}

/** EVIDENCE. The answer to an import says nothing of what became of each entity; `compare` does. */
export interface ImportReceipt {
  readonly sha256: string;
  readonly status: number;
  readonly tookMs: number;
  /** Of an import `again`: artifacts deleted for it to bring anew, and requests for what no import changes. */
  readonly mended?: { readonly deletedFirst: number; readonly requests: number };
}

/** Two archives of one 2.x, the older of which was imported before the freeze, carried, and found equal by `compare`. */
export interface Delta {
  readonly base: string;
  readonly baseBesides: BesidesArchive;
  readonly file: string;
  readonly besides: BesidesArchive;
}

/** refused: what differs cannot be brought so that ids and everything else come out as by a whole import; nothing was written. */
export type DeltaOutcome =
  { readonly kind: 'imported'; readonly receipt: DeltaReceipt } | { readonly kind: 'refused'; readonly why: string };

/** EVIDENCE. */
export interface DeltaReceipt {
  /** Of the archive that held only what differs; null: there was nothing to import. */
  readonly sent: { readonly bytes: number; readonly sha256: string; readonly versions: number } | null;
  /** Artifacts that were deleted, to come anew or for good, and requests for what no import changes. */
  readonly mended: NonNullable<ImportReceipt['mended']>;
  readonly carried: CarriedReceipt;
  readonly tookMs: number;
}

/** EVIDENCE: `comparison` and `snapshot` each by itself. */
export interface ComparedByExport {
  readonly comparison: RegistryComparison;
  readonly snapshot: ArchiveReceipt;
  /** Artifacts that were read by the API besides. */
  readonly walkedArtifacts: number;
}

export interface ImportOptions {
  /**
   * again: an import of this archive was begun before and nobody knows how far it came, or an older one was imported before
   * the freeze and what it made is not known. Afterwards all is as if this one had been imported alone, with what `carry` is to write anew. empty: refused with `registry.not-empty` when it holds contents or artifacts.
   */
  readonly into: 'empty' | 'again';
}

/** EVIDENCE. The new registry read back whole and held against the archive, less what was foreseen to be lost. */
export interface RegistryComparison {
  readonly equal: boolean;
  /** What was expected, and what is there; `missing` and `extra` may both be 0 while `differences` are not. */
  readonly expected: RegistryCounts;
  readonly found: RegistryCounts;
  /** Versions whose bytes, ids, references, state, owner and labels were compared. */
  readonly comparedVersions: number;
  /** Losses that came true; each was a finding of the foresight. */
  readonly lostAsForeseen: number;
  /** Not foreseen; the first `registryNamedMax` by kind and name. */
  readonly differences: readonly RegistryDifference[];
  readonly differencesTotal: number;
  readonly tookMs: number;
}

/** EVIDENCE. What clients may delete. */
export interface Deletions {
  readonly group: boolean;
  readonly artifact: boolean;
  readonly version: boolean;
}

/** The registry of release 3.x, reached directly. */
export interface NewRegistry {
  readonly where: string;
  system(signal: StopSignal): Promise<RegistrySystem>;
  /** Whether clients may delete; null: it does not say. */
  deletions(signal: StopSignal): Promise<Deletions | null>;
  /** All 0: it is empty. */
  walk(signal: StopSignal): Promise<RegistryCensus>;
  /**
   * With both headers that preserve ids. Returns when the server answered; an answer that was lost means `again`.
   * @throws {KeyferryError} `registry.not-empty`; `registry.import-refused` when the archive as a whole is refused;
   *   `registry.content-held` of an import `again`, and nothing was changed
   */
  importFrom(file: string, options: ImportOptions, signal: StopSignal): Promise<ImportReceipt>;
  /**
   * Imports what differs between two archives and nothing else, and carries over by the API what differs beside them. 3.x is
   * not read for it; whoever does not know that it is as `delta.base` left it imports `again`.
   * @param scratch a file for the archive of what differs; replaced
   * @throws {KeyferryError} `registry.content-held`: no import into this 3.x can bring it; nothing was changed
   */
  importDelta(delta: Delta, scratch: string, signal: StopSignal): Promise<DeltaOutcome>;
  /** Harmless to repeat. */
  carry(besides: BesidesArchive, signal: StopSignal): Promise<CarriedReceipt>;
  /** @param file the archive that was imported, and what was foreseen of it; `carry` has been done */
  compare(
    file: string,
    besides: BesidesArchive,
    signal: StopSignal,
    options?: CompareOptions,
  ): Promise<RegistryComparison>;
  /**
   * The same after `importDelta`, in one request where `compare` takes several for each version: 3.x is read from its own export,
   * into `snapshot`, and by the API only where the two archives differ. An export that leaves something out shows as a difference.
   */
  compareByExport(delta: Delta, snapshot: string, signal: StopSignal): Promise<ComparedByExport>;
  /** An export of 3.x: what later changes are told by. */
  exportTo(file: string, signal: StopSignal): Promise<ArchiveReceipt>;
  /**
   * What was written since `snapshot` (an archive of `exportTo`) was taken: exports again into `now`, and compares both.
   * Only while writes are refused is it complete.
   */
  changesSince(snapshot: string, now: string, signal: StopSignal): Promise<RegistryChanges>;
  close(): Promise<void>;
}

/** What 3.x accepted after its snapshot. Holds metadata and is bounded by the archive, not by memory: contents stay in `now`. */
export interface RegistryChanges {
  /** Archive of 3.x that holds all of it, contents included. */
  readonly archive: ArchiveReceipt;
  /** In the order in which they are to be made. */
  readonly changes: readonly RegistryChange[];
  /** What 2.x has no form for: never dropped in silence. */
  readonly notFitting: readonly RegistryDifference[];
}

export interface RegistryChange {
  readonly kind: RegistryKind | 'owner' | 'groupLabels' | 'state' | 'metadata';
  readonly action: 'create' | 'update' | 'delete';
  readonly name: string;
  /** The adapter's own; plain JSON. */
  readonly data: unknown;
}

/** EVIDENCE. */
export interface ReplayReceipt {
  readonly written: number;
  readonly equal: number;
  /** Refused by 2.x although it should fit; the first `registryNamedMax`. */
  readonly refused: readonly RegistryDifference[];
  readonly refusedTotal: number;
  readonly tookMs: number;
}
