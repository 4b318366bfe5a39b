/**
 * Goal: a plan says what its reviewer cannot see in it: what the source hides or replaces, and stores that are in each
 * other's way.
 * Method: plans of memory stores that claim such capabilities, with and without something to find.
 */
import { keyFromText, type StoreCapabilities } from '@keyferry/core';
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
