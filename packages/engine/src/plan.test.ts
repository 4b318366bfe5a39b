/**
 * Goal: a plan says what its reviewer cannot see in it: what the source hides or replaces, and stores that are in each
 * other's way.
 * Method: plans of memory stores that claim such capabilities, with and without something to find.
 */
import { keyFromText, type StoreCapabilities, type TargetCapabilities } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { bytes, Stage } from '../testing/stage.ts';

const shy: Partial<StoreCapabilities> = { hidesKeys: 'keys that begin with _', lossyText: true };

async function findings(stage: Stage) {
  const { plan } = (await stage.plan()).reader();
  return { plan, codes: plan.findings.map(({ code }) => code) };
}

describe('a plan of a source that does not show all', () => {
  it('says so, every time, and asks nobody to accept it', async () => {
    const { plan } = await findings(new Stage({ source: { capabilities: { hidesKeys: 'keys that begin with _' } } }));
    expect(plan).toMatchObject({ applyable: true, findings: [{ code: 'source.hidden-keys', accept: false }] });
    expect(plan.findings[0]?.detail).toContain('keys that begin with _ are not listed');
  });

  it('counts and names what may be lost text, in values and keys', async () => {
    const stage = new Stage({ source: { capabilities: shy } });
    stage.fillSource({ plain: 'ï¿½ and ü', lost: 'a\u{fffd}b' });
    stage.source.put(keyFromText('src/lost-\u{fffd}'), bytes('v'));
    stage.source.put(keyFromText('src/near'), new Uint8Array([0xef, 0xbf, 0xef, 0xbf, 0xbe, 0xef]));
    const { plan } = await findings(stage);
    expect(plan.findings.find(({ code }) => code === 'value.replaced-text')).toMatchObject({
      level: 'warning',
      count: 2,
      keys: [{ text: 'src/lost' }, { text: 'src/lost-\u{fffd}' }],
    });
  });

  it('says where a damaged source was cut short, and has it accepted', async () => {
    const stage = new Stage();
    const told = await stage.source.describe();
    stage.source.describe = () => Promise.resolve({ ...told, cutShort: 'it ends at byte 8 of a.wal' });
    const { plan } = await findings(stage);
    expect(plan.findings).toMatchObject([{ code: 'source.cut-short', level: 'warning', accept: true }]);
    expect(plan.findings[0]?.detail).toContain('it ends at byte 8 of a.wal');
    expect(plan.applyable).toBe(true);
  });

  it('says nothing of the kind where bytes are bytes', async () => {
    const stage = new Stage();
    stage.fillSource({ meant: '\u{fffd}' });
    expect((await findings(stage)).codes).toEqual([]);
  });
});

describe('a plan of one store as source and target', () => {
  const inOne = (more: { readonly viewLocks?: string; readonly targetLocks?: string }) =>
    new Stage({
      source: { name: 'one', viewLocks: more.viewLocks ?? null },
      target: { name: 'one', viewLocks: more.targetLocks ?? null },
    });

  it('is blocked when it is one file, whatever the prefixes are', async () => {
    const { plan, codes } = await findings(inOne({ viewLocks: '/a.db', targetLocks: '/a.db' }));
    expect(codes).toEqual(['same-store']);
    expect(plan.applyable).toBe(false);
  });

  it.each([
    { name: 'a cluster', more: {} },
    { name: 'a file and its copy', more: { viewLocks: '/a.db', targetLocks: '/b.db' } },
  ])('is possible beside each other in $name', async ({ more }) => {
    expect((await findings(inOne(more))).codes).toEqual([]);
  });
});

describe('a plan for a target that cannot hold every record', () => {
  const planFor = (capabilities: Partial<TargetCapabilities>, stage = new Stage({ target: { capabilities } })) => {
    stage.fillSource({ a: '1', 'a-b': '2', 'a/b': '3', 'odd/key': 'x', 'odder/key': 'x' });
    return findings(stage);
  };

  it('is blocked by records without a form there, and says how many for which reason', async () => {
    const unfit: TargetCapabilities['unfit'] = ({ key }) =>
      key.includes('odd') ? (key.includes('odder') ? 'the key is odder' : 'the key is odd') : null;
    const { plan } = await planFor({ unfit });
    expect(plan.applyable).toBe(false);
    expect(plan.totals.actions).toMatchObject({ create: { keys: 3 }, blocked: { keys: 2 } });
    expect(plan.findings).toMatchObject([
      {
        code: 'record.unfit',
        count: 2,
        keys: [{ text: 'dst/odd/key' }, { text: 'dst/odder/key' }],
        detail: 'of 1 record the key is odd; of 1 record the key is odder',
      },
    ]);
  });

  it('is blocked by keys that lie below a value, of the source or of the target', async () => {
    const { plan } = await planFor({ parentKeys: false });
    expect(plan.applyable).toBe(false);
    expect(plan.findings).toMatchObject([{ code: 'key.below-value', count: 1, keys: [{ text: 'dst/a/b' }] }]);
    const stage = new Stage({ target: { capabilities: { parentKeys: false } } });
    stage.putTarget('a/b/c', 'theirs');
    expect((await planFor({}, stage)).plan.findings).toMatchObject([
      { code: 'key.below-value', count: 2, keys: [{ text: 'dst/a/b' }, { text: 'dst/a/b/c' }] },
    ]);
    expect((await planFor({ parentKeys: true })).codes).toEqual([]);
  });

  it('is blocked when something is there that is written once, unless nothing is to be written', async () => {
    const stage = new Stage({ target: { writtenOnce: true } });
    stage.fillSource({ a: '1', b: '2' });
    expect((await findings(stage)).codes).toEqual([]);
    stage.putTarget('a', '1');
    const { plan } = await findings(stage);
    expect(plan).toMatchObject({ applyable: false, findings: [{ code: 'target.exists', count: 1 }] });
    stage.putTarget('b', '2');
    expect((await findings(stage)).codes).toEqual([]);
  });

  it('warns that late workers are not shut out where the target compares no fences', async () => {
    const { plan } = await planFor({ fencing: false });
    expect(plan).toMatchObject({ applyable: true, findings: [{ code: 'target.not-fenced', accept: false }] });
  });
});
