/**
 * The contract of ports/switch.ts: what is announced is seen by whoever reads next, one of several controllers wins, and a
 * registration is nobody's but its instance's.
 */
import { describe, expect, it } from 'vitest';
import type {
  InstanceId,
  MigrationId,
  PlainSwitch,
  Position,
  RegistrationRecord,
  Switch,
  SwitchEpoch,
  SwitchRecord,
  SwitchVersion,
  SwitchWrite,
} from '../../src/index.ts';
import { withFixture } from './harness.ts';

export interface SwitchFixture {
  readonly store: Switch;
  /** The same switch opened once more, as another process would. `close` closes these too. */
  readonly openAnother: () => Promise<Switch>;
  /** Writes something that is not keyferry's where the record lies. */
  readonly spoil: () => Promise<void>;
  close(): Promise<void>;
}

export interface SwitchHarness {
  /** A switch at which nothing was ever announced. */
  readonly open: () => Promise<SwitchFixture>;
}

const first: SwitchRecord = {
  migration: 'm' as MigrationId,
  mode: 'draining',
  heldFrom: 'legacy',
  committed: null,
  epoch: 1 as SwitchEpoch,
  announcedAt: '2026-11-21T06:30:00.000Z',
  frozenAt: null,
  watchFrom: null,
  indexOffset: null,
};
const second: SwitchRecord = {
  ...first,
  mode: 'migrating',
  heldFrom: null,
  epoch: 2 as SwitchEpoch,
  frozenAt: '48211907' as Position,
  watchFrom: '1204' as Position,
  indexOffset: '-7',
};

function registrationOf(instance: string, acknowledged = 0): RegistrationRecord {
  const since = '2026-11-21T06:00:00.000Z';
  const ids = { instance: instance as InstanceId, acknowledged: acknowledged as SwitchEpoch };
  return { ...ids, renewals: 0, leaseMs: 10_000, since, goneAt: null };
}

function versionOf(outcome: SwitchWrite<unknown>): SwitchVersion {
  expect(outcome.kind).toBe('written');
  return outcome.kind === 'written' ? outcome.version : ('' as SwitchVersion);
}

/** Registers the suite: call it at the top level of a test file. */
export function switchContract(name: string, harness: SwitchHarness): void {
  describe(`${name} as a switch`, () => {
    recordSuite(harness);
    registrationSuite(harness);
  });
}

function recordSuite(harness: SwitchHarness): void {
  describe('the record', () => {
    it('is null before anything was announced', () =>
      withFixture(harness.open(), async ({ store }) => {
        expect(await store.read()).toBeNull();
        expect(await store.registrations()).toEqual([]);
      }));

    it('is what was announced last, for everyone', () =>
      withFixture(harness.open(), async ({ store, openAnother }) => {
        const other = await openAnother();
        const v1 = versionOf(await store.write(first, 'absent'));
        expect(await other.read()).toEqual({ value: first, version: v1 });
        const v2 = versionOf(await other.write(second, v1));
        expect(v2).not.toBe(v1);
        expect(await store.read()).toEqual({ value: second, version: v2 });
      }));

    it('changes at the version that was seen, and at no other', () =>
      withFixture(harness.open(), async ({ store }) => {
        const v1 = versionOf(await store.write(first, 'absent'));
        expect(await store.write(second, 'absent')).toEqual({ kind: 'lost', current: { value: first, version: v1 } });
        const v2 = versionOf(await store.write(second, v1));
        expect(await store.write(first, v1)).toEqual({ kind: 'lost', current: { value: second, version: v2 } });
      }));

    it('that several controllers announce at once is one of theirs', () =>
      withFixture(harness.open(), async ({ store, openAnother }) => {
        const v1 = versionOf(await store.write(first, 'absent'));
        const controllers = [store, await openAnother(), await openAnother()];
        const outcomes = await Promise.all(
          controllers.map((controller, i) => controller.write({ ...second, indexOffset: String(i) }, v1)),
        );
        const won = outcomes.flatMap((outcome, i) => (outcome.kind === 'written' ? [String(i)] : []));
        expect(won).toHaveLength(1);
        expect((await store.read())?.value.indexOffset).toBe(won[0]);
      }));

    it('of somebody else is refused, and stays', () =>
      withFixture(harness.open(), async ({ store, spoil }) => {
        await spoil();
        await expect(store.read()).rejects.toMatchObject({ code: 'switch.unreadable' });
        await expect(store.write(first, 'absent')).rejects.toMatchObject({ code: 'switch.unreadable' });
        await expect(store.read()).rejects.toMatchObject({ code: 'switch.unreadable' });
      }));
  });
}

function registrationSuite(harness: SwitchHarness): void {
  describe('a registration', () => {
    it('is listed with the others, by instance', () =>
      withFixture(harness.open(), async ({ store, openAnother }) => {
        const other = await openAnother();
        await store.write(first, 'absent');
        // What could reach into another's place, or be taken for the record.
        const names = ['api-2', 'api-1', '../record', '..', 'record', 'a/b', 'größe 1', '%2F'];
        for (const name of names) await other.writeRegistration(registrationOf(name), 'absent');
        const listed = await store.registrations();
        expect(listed.map(({ value }) => value.instance)).toEqual(names.toSorted());
        expect(await store.read()).toMatchObject({ value: first });
        for (const { value, version } of listed) {
          expect(await store.readRegistration(value.instance)).toEqual({ value, version });
        }
      }));

    it('is renewed at its version alone', () =>
      withFixture(harness.open(), async ({ store, openAnother }) => {
        const v1 = versionOf(await store.writeRegistration(registrationOf('a'), 'absent'));
        const gone = { ...registrationOf('a'), goneAt: '2026-11-21T07:00:00.000Z' };
        const v2 = versionOf(await (await openAnother()).writeRegistration(gone, v1));
        const late = await store.writeRegistration(registrationOf('a', 2), v1);
        expect(late).toEqual({ kind: 'lost', current: { value: gone, version: v2 } });
      }));

    it('is removed at its version alone, and made anew under another one', () =>
      withFixture(harness.open(), async ({ store }) => {
        const a = 'a' as InstanceId;
        const v1 = versionOf(await store.writeRegistration(registrationOf('a'), 'absent'));
        const v2 = versionOf(await store.writeRegistration(registrationOf('a', 1), v1));
        expect(await store.removeRegistration(a, v1)).toMatchObject({ kind: 'lost', current: { version: v2 } });
        expect((await store.removeRegistration(a, v2)).kind).toBe('written');
        expect(await store.readRegistration(a)).toBeNull();
        expect(await store.removeRegistration(a, v2)).toEqual({ kind: 'lost', current: null });
        const v3 = versionOf(await store.writeRegistration(registrationOf('a'), 'absent'));
        expect([v1, v2]).not.toContain(v3);
        expect((await store.writeRegistration(registrationOf('a', 3), v2)).kind).toBe('lost');
      }));

    it('of which there are many is not lost among them', () =>
      withFixture(harness.open(), async ({ store }) => {
        const names = Array.from({ length: 120 }, (_, i) => `instance-${String(i).padStart(3, '0')}`);
        for (let at = 0; at < names.length; at += 20) {
          const some = names.slice(at, at + 20);
          await Promise.all(some.map((name) => store.writeRegistration(registrationOf(name, at), 'absent')));
        }
        expect((await store.registrations()).map(({ value }) => value.instance)).toEqual(names);
      }));
  });
}

export interface PlainSwitchFixture {
  readonly store: PlainSwitch;
  /** What an application that follows the guide reads there. */
  readonly readAsApplication: () => Promise<string | null>;
  close(): Promise<void>;
}

/** Registers the suite: call it at the top level of a test file. @param open one that nobody has written */
export function plainSwitchContract(name: string, open: () => Promise<PlainSwitchFixture>): void {
  describe(`${name} as a plain switch`, () => {
    it('turns true, and back, as often as it is told', () =>
      withFixture(open(), async ({ store, readAsApplication }) => {
        expect([await store.isOver(), await readAsApplication()]).toEqual([false, null]);
        for (const isOver of [true, true, false, true]) {
          await store.write(isOver);
          expect([await store.isOver(), await readAsApplication()]).toEqual([isOver, String(isOver)]);
        }
      }));
  });
}
