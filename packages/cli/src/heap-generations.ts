/**
 * How large the generations of V8's heap become: the young one of every command, the old one of some.
 *
 * What lives a moment is in the young one. Pages do; and of a young generation of 1 MiB, with which V8 begins, so many
 * are left over at each collection that it takes a fifth of the CPU time of a copy, and moves pages to the old one. In one that
 * grows as it likes, to 16 MiB, they stay until some of them count as old, and memory grows by 100 MiB for no gain (bench
 * `memory`).
 *
 *     start ──growYoung──► modules load, which outlives collections: 1 MiB ─► 2 ─► 4 ──holdYoung──► work
 *
 * V8 takes its size from the command line alone, which a program that is started by its name does not have. The factor by which
 * it grows can be set at any time.
 */
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** Of both halves: one is empty between collections. */
const wantedBytes = 8 * 1024 * 1024;

/** Before anything large is loaded. */
export function growYoung(): void {
  setFlagsFromString('--semi-space-growth-factor=2');
}

/** Again and again while modules load: ends it where it has grown far enough. */
export function holdYoungIfGrown(): void {
  const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
  if ((young?.space_size ?? 0) >= wantedBytes) holdYoung();
}

/**
 * For work that holds something large and makes much besides, as archives of a registry are: the old generation is collected once it is
 * half again what was in use, where V8 lets it become several times that. For 20,000 versions it is a fifth of the memory, and the
 * same CPU time.
 */
export function holdOld(): void {
  setFlagsFromString('--heap-growing-percent=50');
}

/** All is loaded. */
export function holdYoung(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}
