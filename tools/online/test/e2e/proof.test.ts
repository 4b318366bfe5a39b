/**
 * Goal: the live proof of dual-read in its short form: an application of three processes at full rate, one of them behind a proxy
 * that breaks connections, one cut off for a while; keyferry killed, cut over, gone back and forth again. Every answer that
 * an instance was given is one that a single store could have given, and nobody's key changed. Method: tools/online/soak, one
 * round; the long form is `npm run soak`.
 */
import { serverOrSkip } from '@keyferry/servers';
import { afterAll, describe, expect, it } from 'vitest';
import { islandOrNone } from '../../soak/island.ts';
import { runProof } from '../../soak/proof.ts';

const [old, current] = await Promise.all([serverOrSkip('etcd-3.4'), serverOrSkip('etcd-3.5')]);
const serverNote = [old, current].find((server) => !server.ok)?.note ?? '';
const { island, note } = old.ok && current.ok ? islandOrNone() : { island: null, note: '' };
const how = note === '' ? '' : ` (${note}; processes are stopped instead)`;

describe.skipIf(!old.ok || !current.ok)(`dual-read in foul weather${serverNote}${how}`, () => {
  afterAll(() => island?.remove());

  it('loses nothing and brings nothing back', { timeout: 500_000 }, async () => {
    const said: string[] = [];
    const proof = await runProof({
      seed: 'short form',
      rounds: 1,
      betweenMs: 500,
      keysAtRest: 600,
      island,
      weather: { cut: 0.002, hold: 0.01, holdMaxMs: 200 },
      say: (line) => said.push(line),
    });
    expect(proof).toMatchObject({ violations: [], restWrong: [], controlLeft: ['done', 'epoch'] });
    // It was under load, its weather was foul, and it came through every mode.
    expect(proof.seen.get('told')).toBeGreaterThan(1000);
    expect(proof.seen.get('shown')).toBeGreaterThan(100);
    expect(proof.cuts).toBeGreaterThan(0);
    const modes = [...proof.seen.keys()].filter((what) => what.startsWith('mode ')).toSorted();
    expect(modes).toEqual(expect.arrayContaining(['mode legacy', 'mode migrating', 'mode normal', 'mode settled']));
  });
});
