/** Registries that are sets of writes; their archives are files of the stage. */
import {
  KeyferryError,
  registryNamedMax,
  type CompletenessProof,
  type DeltaOutcome,
  type NewRegistry,
  type OldRegistry,
  type ProofOptions,
  type RegistryCensus,
  type RegistryChanges,
  type RegistryComparison,
  type RegistryCounts,
  type RegistryDifference,
  type WalkOptions,
} from '@keyferry/core';
import type { StageFiles } from './files.ts';
import type { Gate } from './gate.ts';

export interface RegistryWorld {
  readonly old: Set<string>;
  readonly fresh: Set<string>;
  readonly files: StageFiles;
  /** What the next exports of 2.x lack, one after another; those after them are whole. */
  readonly lacking: (readonly RegistryDifference[])[];
  /** Archives that walks of 2.x took contents from. */
  readonly contentsOf: string[];
  /** Of each proof of an export: whether 2.x was walked for it, or a walk that was kept was at hand. */
  readonly proofs: ('walked' | 'kept')[];
  /** What 2.x cannot take of what 3.x accepted. */
  readonly unfit: readonly RegistryDifference[];
  /** Why no delta can be made; null: it can. */
  readonly refusedDelta: string | null;
  /** An export of 3.x leaves something out that its API shows. */
  readonly exportLacks: boolean;
  /** 3.x answers nobody. */
  readonly targetDown: boolean;
}

export function oldRegistry(world: RegistryWorld, gate: Gate): OldRegistry {
  /** In the export that was made last. */
  let missing: readonly RegistryDifference[] = [];
  let kept: RegistryCensus | null = null;
  const walk = ({ contentsOf, kept: isKept = false }: WalkOptions = {}): RegistryCensus => {
    if (contentsOf !== undefined) world.contentsOf.push(contentsOf);
    const found = census(world.old);
    kept = isKept ? found : null;
    return found;
  };
  const prove = (file: string, { walked, ...options }: ProofOptions = {}): CompletenessProof => {
    const atHand = kept?.sha256 === walked?.sha256 ? kept : null;
    world.proofs.push(atHand === null ? 'walked' : 'kept');
    const found = atHand ?? walk(options);
    kept = null;
    // An older walk shows what was written between it and the export.
    const isOther = atHand !== null && world.files.digest(file) !== found.sha256;
    const named = isOther ? [...missing, { kind: 'version', name: 'w', what: 'is another' } as const] : missing;
    return {
      complete: named.length === 0,
      census: found,
      missing: named.slice(0, registryNamedMax),
      missingTotal: named.length,
    };
  };
  return {
    where: 'http://old',
    system: () => gate.pass('old.system', () => ({ version: '2.6.13.Final', ready: true, tookMs: 1 })),
    walk: (_signal, options) => gate.pass('old.walk', () => walk(options)),
    exportTo: (file) =>
      gate.pass('old.export', () => {
        missing = world.lacking.shift() ?? [];
        return world.files.store(file, world.old);
      }),
    proveComplete: (file, _signal, options) => gate.pass('old.prove', () => prove(file, options)),
    stoodStillSince: (file) =>
      gate.pass('old.still', () => {
        const [before, now] = [world.files.digest(file), census(world.old).sha256];
        const changes = [...world.old].filter((each) => !world.files.read(file).includes(each));
        return {
          still: before === now,
          before,
          now,
          changes: changes.map((name) => ({ kind: 'version', name, what: 'is there and was not expected' }) as const),
          changesTotal: before === now ? 0 : Math.max(1, changes.length),
          tookMs: 1,
        };
      }),
    readBesides: () =>
      gate.pass('old.besides', () => ({
        roles: [],
        settings: [],
        owners: [],
        groupLabels: [],
        latestOrders: [],
        unreadable: [],
      })),
    replay: (changes) =>
      gate.pass('old.replay', () => {
        for (const { name } of changes.changes) world.old.add(name);
        return { written: changes.changes.length, equal: 0, refused: [], refusedTotal: 0, tookMs: 1 };
      }),
    close: () => Promise.resolve(),
  };
}

export function newRegistry(world: RegistryWorld, gate: Gate): NewRegistry {
  const up = <T>(work: () => T): T => {
    if (world.targetDown) throw new KeyferryError('store.unreachable', { store: 'new', detail: 'refused' });
    return work();
  };
  return {
    where: 'http://new',
    system: () => gate.pass('new.system', () => up(() => ({ version: '3.3.3', ready: true, tookMs: 1 }))),
    deletions: () => gate.pass('new.deletions', () => ({ group: true, artifact: true, version: true })),
    walk: () => gate.pass('new.walk', () => census(world.fresh)),
    importFrom: (file, { into }) =>
      gate.pass('new.import', () => {
        if (into === 'empty' && world.fresh.size > 0) {
          throw new KeyferryError('registry.not-empty', { store: 'new', detail: 'it holds versions' });
        }
        for (const each of world.files.read(file)) world.fresh.add(each);
        return { sha256: world.files.digest(file), status: 204, tookMs: 1 };
      }),
    importDelta: ({ base, file }) =>
      gate.pass('new.delta', (): DeltaOutcome => {
        if (world.refusedDelta !== null) return { kind: 'refused', why: world.refusedDelta };
        const [before, after] = [world.files.read(base), world.files.read(file)];
        for (const each of before) if (!after.includes(each)) world.fresh.delete(each);
        for (const each of after) if (!before.includes(each)) world.fresh.add(each);
        const mended = { deletedFirst: 0, requests: 0 };
        return {
          kind: 'imported',
          receipt: { sent: null, mended, carried: { carried: [], carriedTotal: 0, notCarried: [] }, tookMs: 1 },
        };
      }),
    carry: () => gate.pass('new.carry', () => ({ carried: [], carriedTotal: 0, notCarried: [] })),
    compare: (file) => gate.pass('new.compare', () => comparison(world, file)),
    compareByExport: ({ file }, snapshot) =>
      gate.pass('new.compare-by-export', () => ({
        comparison: comparison({ ...world, fresh: new Set([...world.fresh].slice(world.exportLacks ? 1 : 0)) }, file),
        snapshot: world.files.store(snapshot, world.fresh),
        walkedArtifacts: 0,
      })),
    exportTo: (file) => gate.pass('new.export', () => world.files.store(file, world.fresh)),
    changesSince: (snapshot, now) =>
      gate.pass('new.changes', () =>
        up((): RegistryChanges => {
          const before = new Set(world.files.read(snapshot));
          const changes = [...world.fresh].filter((each) => !before.has(each));
          return {
            archive: world.files.store(now, world.fresh),
            changes: changes.map((name) => ({ kind: 'version', action: 'create', name, data: null })),
            notFitting: world.unfit,
          };
        }),
      ),
    close: () => Promise.resolve(),
  };
}

function comparison({ files, fresh }: RegistryWorld, file: string): RegistryComparison {
  const expected = new Set(files.read(file));
  const differences = [...new Set([...expected, ...fresh])]
    .filter((each) => !expected.has(each) || !fresh.has(each))
    .map((name): RegistryDifference => ({ kind: 'version', name, what: 'is on one side' }));
  return {
    equal: differences.length === 0,
    expected: census(expected).counts,
    found: census(fresh).counts,
    comparedVersions: expected.size,
    lostAsForeseen: 0,
    differences,
    differencesTotal: differences.length,
    tookMs: 1,
  };
}

export const noCounts: RegistryCounts = {
  group: 0,
  artifact: 0,
  version: 0,
  content: 0,
  globalRule: 0,
  groupRule: 0,
  artifactRule: 0,
  comment: 0,
  branch: 0,
};

export function census(held: ReadonlySet<string>): RegistryCensus {
  const sha256 = JSON.stringify([...held].toSorted((a, b) => (a < b ? -1 : 1)));
  return {
    counts: { ...noCounts, version: held.size },
    globalIdMax: 1,
    contentIdMax: 1,
    sha256,
    requests: 1,
    tookMs: 1,
  };
}
