/**
 * What the table of servers says about each of them. Apart from the table, so that the files that fill it do not import
 * the file that gathers them.
 */

/** One package of the Debian archive, pinned by content: any mirror may serve it, none can change it. */
export interface DebianPackage {
  /** Source package, which names the directory in the pool. */
  readonly source: string;
  readonly name: string;
  readonly version: string;
  /** SHA-256 of the .deb file, lower-case hex, by Debian architecture. */
  readonly sha256: Readonly<Record<string, string>>;
}

interface AnyServer {
  /** Upstream version the pin gives; an override may give another one of the same line. */
  readonly version: string;
  /** Variable that replaces the fetch: the path of the main program, or of the directory that holds it. */
  readonly environmentVariable: string;
  /** Programs, the main one first; all of them live in the same directory. */
  readonly programs: readonly [string, ...string[]];
}

/** Fetched from the Debian archive. */
export interface DebianServer extends AnyServer {
  readonly packages: readonly DebianPackage[];
  /** Where the packages keep the programs; `usr/bin` unless given. */
  readonly programsIn?: string;
}

/** Brought by a development dependency of this package, which npm has fetched. */
export interface NpmServer extends AnyServer {
  readonly npmPackage: string;
  /** Directory of the programs; `undefined` when the dependency is not installed. */
  readonly installedIn: () => string | undefined;
  /** What the programs need and this machine has not, in a sentence. */
  readonly machineLacks: () => string | undefined;
}

/** Fetched from the Maven repository that this machine's own Maven is configured for. */
export interface MavenServer extends AnyServer {
  /** `group:artifact:version:packaging:classifier` of an archive, as Maven takes it. */
  readonly artifact: string;
  /** SHA-256 of the archive, lower-case hex: whichever repository serves it, it cannot change it. */
  readonly sha256: string;
  /** `group:artifact:version` of a parent POM that the repository lacks: an empty one stands in, as the archive needs none. */
  readonly parentLacking?: string;
  readonly machineLacks: () => string | undefined;
}

/** Built on this machine, from source that Go's own client fetches: for releases that no package holds. */
export interface GoServer extends AnyServer {
  /** Directory of a go.mod that requires the release, and of its go.sum, which pins the content of all that is built. */
  readonly moduleDirectory: string;
  /** What each program is built from, in the order of `programs`. */
  readonly goPackages: readonly string[];
  /** Too long to wait for in continuous integration, which runs it where it was built before and skips it elsewhere. */
  readonly buildsForLong?: true;
}

export type ServerDefinition = DebianServer | NpmServer | MavenServer | GoServer;
