/**
 * Goal: what a run did reads the same each time: counts that add up, keys by name, the next command and the way back.
 * Method: pages of made-up results as snapshots; documents by the members that scripts read.
 */
import type { DatadirReport } from '@keyferry/adapters/etcd-v2-datadir';
import {
  noTailCounts,
  nothingRolledBack,
  scannedOf,
  type MigrationState,
  type PlanDocument,
  type TailDiffers,
} from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { change, nowMs, samplePlan } from '../../test/fixtures/plan.ts';
import { agreed, applied, applying, deviated, differing, lock, untouched } from '../../test/fixtures/results.ts';
import { plainPalette } from '../terminal/palette.ts';
import { adaptersView } from './adapters/index.ts';
import { applyView } from './apply/index.ts';
import { inspectView } from './inspect/index.ts';
import { brokenLockView, locksView } from './locks/index.ts';
import { rollbackIntent, rollbackView } from './rollback/index.ts';
import { changesView } from './show/index.ts';
import { statusView } from './status/index.ts';
import { validateView } from './validate/index.ts';
import { verifyView } from './verify/index.ts';
import type { ViewContext } from './view.ts';

const context: ViewContext = { palette: plainPalette, nowMs, configFlag: null, holderIsGone: () => false };
const appliedAs = 'config.kfplan';
const step = { next: 'keyferry status config-v2-to-v3', wayBack: 'keyferry rollback config-v2-to-v3' };

describe('apply', () => {
  it('shows what was done against the plan', () => {
    expect(applyView.human({ result: applied, appliedAs }, context)).toMatchInlineSnapshot(`
      "Applied pln_01JDA3WQ7K   config-v2-to-v3   as planned
        run run_01JDA3XA7K, attempt 1, 8.4 s, 1,500 keys/s

                         planned      done
        + written         12,310    12,310   created by this migration
        = equal                1         1   was there already
        ! kept                 1         1   target differs
        x tombstoned           0         0
        x dead letters         0         0
        . not carried        292       292
        scanned           12,604    12,604

      Verify   both sides agree
        source   12,311 records   digest 4be1c07a5d2f4be1c07a5d2f4be1c07a   position 48211907
        target   12,311 records   digest 4be1c07a5d2f4be1c07a5d2f4be1c07a   position 1303
        besides  1 that differ as planned

      Applied: 12,310 written; 0 deviations.
      Next: keyferry finalize config-v2-to-v3
      Way back: keyferry rollback config-v2-to-v3
      "
    `);
  });
  it('shows what is not as planned, and goes on to the dead letters', () => {
    expect(applyView.human({ result: deviated, appliedAs }, context)).toMatchInlineSnapshot(`
      "Applied pln_01JDA3WQ7K   config-v2-to-v3   not as planned
        run run_01JDA3XA7K, attempt 1, resumed, 8.4 s, 1,500 keys/s

                         planned      done
        + written         12,310    12,308   created by this migration
        = equal                1         1   was there already
        ! kept                 1         1   target differs
        x tombstoned           0         1   deleted in the target meanwhile, not brought back
        x dead letters         0         1   the target refused them
        . not carried        292       292
        scanned           12,604    12,604

      Verify   both sides differ
        source   12,311 records   digest 4be1c07a5d2f4be1c07a5d2f4be1c07a   position 48211907
        target   12,310 records   digest ffffffff5d2f4be1c07a5d2f4be1c07a   position 1303
        besides  1 that differ as planned
        ! /config/routes/b   missing in the target
        ! base64:/wA=        value differs
        and 1 more

      Not as planned
        ! 3 keys differ between the sides
        ! 1 record could not be written

      Applied: 12,308 written; 2 deviations.
      Next: keyferry runs show config-v2-to-v3 --dead-letters
      Way back: keyferry rollback config-v2-to-v3
      "
    `);
  });
  it.each([applied, deviated])('has counts that add up, planned and done', (result) => {
    const document = applyView.json({ result, appliedAs }, []) as unknown as Record<
      'planned' | 'counts',
      typeof result.counts & { scanned: number }
    >;
    for (const side of [document.planned, document.counts]) expect(scannedOf(side)).toBe(side.scanned);
    expect(document.planned.scanned).toBe(document.counts.scanned);
  });
  it('is a document with the verdict', () => {
    expect(applyView.json({ result: deviated, appliedAs }, ['w'])).toMatchObject({
      format: 'keyferry.apply',
      warnings: ['w'],
      outcome: 'deviated',
      verify: { verdict: 'differ', differences: [{ key: { text: '/config/routes/b' } }, { key: { base64: '/wA=' } }] },
      next: 'keyferry runs show config-v2-to-v3 --dead-letters',
      wayBack: 'keyferry rollback config-v2-to-v3',
    });
  });
  it.each([[{ text: 'a\n' }], [{ text: 'base64:eA==' }], [{ base64: '/wA=' }]])('names the key %j as it is', (key) => {
    const verify = { ...differing, differences: [{ key, what: 'value differs' }] } as const;
    const document = applyView.json({ result: { ...deviated, verify }, appliedAs }, []);
    expect(document).toMatchObject({ verify: { differences: [{ key }] } });
  });
});

describe('verify', () => {
  it('says that both sides agree', () => {
    expect(verifyView.human({ plan: samplePlan, result: agreed, deviations: [], ...step }, context))
      .toMatchInlineSnapshot(`
      "Verify config-v2-to-v3   both sides agree   (plan pln_01JDA3WQ7K, 2.1 s)

        source   12,311 records   digest 4be1c07a5d2f4be1c07a5d2f4be1c07a   position 48211907
        target   12,311 records   digest 4be1c07a5d2f4be1c07a5d2f4be1c07a   position 1303
        besides  1 that differ as planned

      Next: keyferry status config-v2-to-v3
      Way back: keyferry rollback config-v2-to-v3
      "
    `);
  });
  it('names the keys that differ', () => {
    expect(verifyView.human({ plan: samplePlan, result: differing, deviations: [], ...step }, context))
      .toMatchInlineSnapshot(`
      "Verify config-v2-to-v3   both sides differ   (plan pln_01JDA3WQ7K, 2.1 s)

        source   12,311 records   digest 4be1c07a5d2f4be1c07a5d2f4be1c07a   position 48211907
        target   12,310 records   digest ffffffff5d2f4be1c07a5d2f4be1c07a   position 1303
        besides  1 that differ as planned

      3 keys differ
        ! /config/routes/b   missing in the target
        ! base64:/wA=        value differs
        and 1 more

      Next: keyferry status config-v2-to-v3
      Way back: keyferry rollback config-v2-to-v3
      "
    `);
  });
});

describe('status', () => {
  const events = Array.from({ length: 6 }, (_, i) => ({
    atMs: Date.parse('2026-11-21T06:30:00Z') + i,
    run: 'run_1',
    type: 'lock.broken',
    message: `event ${i}${i === 5 ? '\nforged' : ''}`,
  }));
  it('ends with the next command and the way back', () => {
    expect(
      statusView.human(
        [
          { ...applying, events },
          { ...untouched, events: [] },
        ],
        context,
      ),
    ).toMatchInlineSnapshot(`
      "config-v2-to-v3   applying
        plan      pln_01JDA3WQ7K, applied as config.kfplan
        run       run_01JDA3XA7K, attempt 1, changed 5 s ago
        progress  6,100 of 12,604 entries, 1 of 4 chunks
        counts    6,000 written, 0 equal, 0 kept, 0 tombstoned, 0 dead, 100 not carried
        lock      lck_01JDA3XA7K of deploy@ci-17, pid 4711, last heartbeat 4 s ago
        x /config/x   request is too large
        2026-11-21 06:30 UTC   event 1
        2026-11-21 06:30 UTC   event 2
        2026-11-21 06:30 UTC   event 3
        2026-11-21 06:30 UTC   event 4
        2026-11-21 06:30 UTC   event 5\\u000aforged
      Next: keyferry apply config.kfplan
      Way back: keyferry rollback config-v2-to-v3

      config-v2-to-v3   new
      Next: keyferry plan config-v2-to-v3 --out config-v2-to-v3.kfplan
      "
    `);
  });
  it('says of a lock why it keeps nobody out any more', () => {
    const at = (held: boolean, isGone: boolean) => {
      const status = { ...applying, lock: { ...applying.lock, ...lock, held, heartbeatAgoMs: 4000 }, events: [] };
      const text = statusView.human([status], {
        ...context,
        holderIsGone: (holder) => isGone && holder === lock.holder,
      });
      return /^  lock +(.*)$/m.exec(text)?.[1];
    };
    const held = 'lck_01JDA3XA7K of deploy@ci-17, pid 4711, last heartbeat 4 s ago';
    expect(at(true, false)).toBe(held);
    expect(at(false, false)).toBe(`${held}; its lease has ended`);
    expect(at(true, true)).toBe(`${held}; that process has ended, so the next run takes the lock over`);
  });
  it('is a document with instants', () => {
    expect(statusView.json([{ ...applying, events }], [])).toMatchObject({
      migrations: [
        {
          changedAt: '2026-11-21T06:30:55.000Z',
          lock: { holder: 'deploy@ci-17, pid 4711', held: true },
          chunks: { done: 1, total: 4 },
          events: { length: 6, 0: { at: '2026-11-21T06:30:00.000Z', type: 'lock.broken', message: 'event 0' } },
        },
      ],
    });
  });
  it('names the plan that was refused, and keeps to itself what a store says of a sensitive record', () => {
    const refusal = {
      plan: 'pln_2',
      createdAt: '2026-11-21T06:29:00.000Z',
      expiresAt: '2026-11-22T06:29:00.000Z',
      keyferryVersion: '0.1.0',
      configDigest: 'c',
      rulesDigest: 'r',
      findings: ['value.too-large', 'rule.failed'],
      cases: [],
    };
    const [letter] = applying.deadLetters;
    const deadLetters = letter === undefined ? [] : [{ ...letter, reason: 'no: canary', sensitive: true }];
    const status = { ...applying, deadLetters, refusal, events: [] };
    const page = statusView.human([status], context);
    expect(page).toContain('  refused   plan pln_2 of 2026-11-21 06:29 UTC: value.too-large, rule.failed\n');
    expect(page).toContain('  x /config/x   (sensitive)\n');
    const document = statusView.json([status], []);
    expect(document).toMatchObject({
      migrations: [
        {
          refusal: { plan: 'pln_2', at: '2026-11-21T06:29:00.000Z', findings: ['value.too-large', 'rule.failed'] },
          deadLetters: [{ reason: null }],
        },
      ],
    });
    expect(page + JSON.stringify(document)).not.toContain('canary');
  });
  it('names what a tail found unlike, on which side it is put right, and how a cutover that failed ended', () => {
    const tail = {
      tail: 'forward' as const,
      attempt: 1,
      token: 1,
      run: 'run_1',
      leaseEndsAtMs: 0,
      position: '1',
      lag: null,
      counts: noTailCounts,
      refused: [],
      refusedTotal: 0,
      generation: null,
      differs: { atMs: nowMs - 60_000, named: [{ key: { text: 'a' }, what: 'value differs' as const }], total: 3 },
      changedAtMs: nowMs,
    };
    const cutover = {
      to: 'target' as const,
      outcome: 'undone' as const,
      undoneWhy: 'failed' as const,
      run: 'run_1',
      epoch: 1,
      startedAtMs: nowMs - 3000,
      heldAtMs: nowMs - 2000,
      endedAtMs: nowMs,
      from: null,
      anchor: null,
      compared: 0,
    };
    const pageOf = (differs: TailDiffers | null): string =>
      statusView.human([{ ...applying, tails: [{ ...tail, differs }], cutover, events: [] }], context);
    expect(pageOf(tail.differs)).toMatch(/^ {2}differ +3 records, as of 1 m(in)? ago: a, value differs$/m);
    expect(pageOf(tail.differs)).toMatch(
      /make the target right by hand, or change it in the source, which is carried$/m,
    );
    expect(pageOf(tail.differs)).toMatch(/^ {2}cutover +to the target, undone \(failed\), writes held for 2 s$/m);
    expect(pageOf(null)).not.toContain('differ');
    expect(statusView.json([{ ...applying, tails: [tail], events: [] }], [])).toMatchObject({
      migrations: [{ tails: [{ differences: [{ key: { text: 'a' } }], differencesTotal: 3 }] }],
    });
  });
  it('has a form for no migrations', () => expect(statusView.human([], context)).toBe('no migrations\n'));
});

describe('rollback', () => {
  const result = {
    run: 'run_1',
    counts: { ...nothingRolledBack, removed: 12_300, changed: 8 },
    unrestorable: 0,
    written: 12_310,
    left: 10,
    changedKeys: [{ text: '/a' }, { text: '/b\n' }],
    backups: [],
    elapsedMs: 1500,
  };
  it('says what it removed and what it left', () => {
    expect(rollbackView.human({ migration: 'm', result, turnedBack: null }, context)).toMatchInlineSnapshot(`
      "Rolled back m   run run_1, 1.5 s
        - removed    12,300 of 12,310 written
        ! left       10   changed since, or expired
            /a
            /b\\u000a
            and 6 more

      Next: keyferry plan m --out m.kfplan
      "
    `);
  });
});

describe('overwrites and deletes', () => {
  const counts = { ...applied.counts, written: 12_300, overwritten: 9, changed: 1, deleted: 75, deletesChanged: 1 };
  const { actions } = applied.plan.totals;
  const plan: PlanDocument = {
    ...applied.plan,
    totals: {
      ...applied.plan.totals,
      actions: {
        ...actions,
        create: { keys: 12_300, bytes: 1 },
        overwrite: { keys: 10, bytes: 1 },
        delete: { keys: 76, bytes: 1 },
      },
    },
  };
  it('are counted beside the records of the source, and add up by themselves', () => {
    const page = applyView.human({ result: { ...applied, plan, counts }, appliedAs }, context);
    expect(page.split('\n').slice(3, 15).join('\n')).toMatchInlineSnapshot(`
      "                   planned      done
        + written         12,300    12,300   created by this migration
        ~ overwritten         10         9   in place of what the plan saw
        = equal                1         1   was there already
        ! met a change         0         1   to be overwritten, but no longer as planned: left
        ! kept                 1         1   target differs
        x tombstoned           0         0
        x dead letters         0         0
        . not carried        292       292
        scanned           12,604    12,604
        - deleted             76        75   was in the target only
        ! not deleted          0         1   no longer as planned: left"
    `);
    const document = applyView.json({ result: { ...applied, plan, counts }, appliedAs }, []);
    expect(document).toMatchObject({
      counts: { overwritten: 9, changed: 1, scanned: 12_604, deletes: 76 },
      planned: { overwritten: 10, deleted: 76 },
    });
  });
  it('stand in the status, with what could not be restored', () => {
    const status = { ...applying, counts, unrestorable: 2, events: [] };
    const lines = statusView.human([status], context).split('\n');
    expect(lines.filter((line) => /counts|undo/.test(line)).join('\n')).toMatchInlineSnapshot(`
      "  counts    12,300 written, 9 overwritten, 1 met a change, 75 deleted or gone, 1 not deleted, 1 equal, 1 kept, 0 tombstoned, 0 dead, 292 not carried
        undo      2 records were overwritten or deleted without a before-image: nothing brings them back"
    `);
    expect(rollbackIntent(status, plainPalette)).toMatchInlineSnapshot(`
      "Roll back config-v2-to-v3   applying
        removes from the target the 12,300 keys that it created, if nobody changed them since; everything else stays
        puts back 82 records that it overwrote or deleted, if nobody changed them since
        2 records were overwritten or deleted without a before-image: nothing brings them back
      "
    `);
    const told = (of: Partial<MigrationState['wrote']>) => {
      const state = {
        ...(applying.state as MigrationState),
        wrote: { ...(applying.state as MigrationState).wrote, ...of },
      };
      return rollbackIntent({ ...status, state }, plainPalette)
        .split('\n')
        .slice(1, 3);
    };
    expect(told({ attempts: [1, 2], before: 700 })).toEqual([
      '  removes from the target the 13,000 keys that it created, if nobody changed them since; everything else stays',
      '  puts back the records that it overwrote or deleted, if nobody changed them since',
    ]);
    expect(told({ attempts: [2], before: null })[0]).toContain('what it created, if');
  });
  it('are restored by a rollback, as far as nobody changed them and their time is not over', () => {
    const result = {
      run: 'run_1',
      counts: { ...nothingRolledBack, removed: 12_300, restored: 80, notRestored: 3, expired: 1 },
      written: 12_300,
      unrestorable: 2,
      left: 5,
      changedKeys: [{ text: '/a' }],
      backups: [],
      elapsedMs: 1500,
    };
    expect(rollbackView.human({ migration: 'm', result, turnedBack: null }, context)).toMatchInlineSnapshot(`
      "Rolled back m   run run_1, 1.5 s
        - removed    12,300 of 12,300 written
        ~ restored   80 overwritten or deleted, 1 whose own time is over
        ! left       5   changed since, or expired; 2 records were overwritten or deleted without a before-image: nothing brings them back
            /a
            and 2 more

      Next: keyferry plan m --out m.kfplan
      "
    `);
  });
});

describe('locks', () => {
  it('show who holds what', () => {
    expect(locksView.human([{ migration: 'm', lock }], context)).toMatchInlineSnapshot(`
      "lck_01JDA3XA7K   m   held
        holder     deploy@ci-17, pid 4711
        run        run_01JDA3XA7K
        command    keyferry apply config.kfplan
        since      2026-11-21 06:30 UTC
        heartbeat  4 s ago
      "
    `);
    const after = (of: Partial<typeof context>) =>
      locksView.human([{ migration: 'm', lock }], { ...context, ...of }).split('\n')[0];
    expect(after({ holderIsGone: () => true })).toBe('lck_01JDA3XA7K   m   its process has ended');
    expect(after({ nowMs: lock.leaseEndsAtMs + 3_600_000 })).toBe('lck_01JDA3XA7K   m   its lease has ended');
    expect(locksView.human([], context)).toBe('no locks\n');
  });
  it('say what breaking one means', () => {
    expect(brokenLockView.human({ migration: 'm', lock, reason: 'runner lost' }, context)).toMatchInlineSnapshot(`
      "Broke lck_01JDA3XA7K of m, held by deploy@ci-17, pid 4711 (runner lost).
      If that run still lives, it stops at its next heartbeat; its writes are fenced off.
      Next: keyferry status m
      "
    `);
  });
});

describe('show --only', () => {
  it('lists rows, and says how many the plan does not list', () => {
    const rows = [change('/config/a', 12), change('/config/db/password', 32, { sensitive: true })];
    expect(changesView.human({ plan: samplePlan, only: 'create', rows }, context)).toMatchInlineSnapshot(`
      "pln_01JDA3WQ7K   config-v2-to-v3   12,310 keys to create
        + /config/a             12 B
        + /config/db/password   32 B (sensitive)
        and 12,308 that the plan holds by the digest of their chunk only
      "
    `);
  });
});

describe('validate and adapters', () => {
  it('name what is there', () => {
    const side = { store: 'old', prefix: '' };
    const migrations = [{ migration: 'm', source: side, target: { store: 'new', prefix: '/c/' }, strategy: 'offline' }];
    const stores = [
      { store: 'old', kind: 'file' },
      { store: 'new', kind: 'sqlite' },
    ];
    expect(validateView.human({ file: 'keyferry.yaml', stores, migrations }, context)).toMatchInlineSnapshot(`
      "valid   keyferry.yaml: 2 stores, 1 migration
        m  offline  old (file) (all keys)  ->  new (sqlite) /c/
      "
    `);
    expect(adaptersView.human([{ kind: 'file', source: true, target: false, description: 'a file' }], context))
      .toMatchInlineSnapshot(`
      "file  source  -  a file
      "
    `);
  });
});

describe('inspect', () => {
  const report: DatadirReport = {
    directory: '/backup/etcd-1',
    server: { kind: 'none' },
    problem: null,
    snapshots: [
      { file: '/backup/etcd-1/member/snap/0002-29.snap', state: 'begun-with', detail: null },
      { file: '/backup/etcd-1/member/snap/0002-19.snap', state: 'damaged', detail: 'the checksum does not match' },
    ],
    log: { segments: 3, bytes: 192_000_000 },
    backend: {
      file: '/backup/etcd-1/member/snap/db',
      bytes: 24_576,
      content: {
        keys: 12,
        bytes: 640,
        leasedKeys: 3,
        leases: 2,
        users: 1,
        revision: 40,
        consistentIndex: '812',
      },
      unread: null,
    },
    content: {
      memberId: '8e9e05c52164694d',
      clusterId: 'cdf818194e3a8c32',
      clusterVersion: '3.4.0',
      members: [{ id: '8e9e05c52164694d', name: 'm1', peerUrls: ['http://a:2380'], clientUrls: ['http://a:2379'] }],
      term: 3,
      commitIndex: 812,
      lastIndex: 814,
      appliedIndex: 812,
      uncommitted: 2,
      tornBytes: 17,
      v2Index: 790,
      v2: {
        files: 1200,
        directories: 14,
        hiddenFiles: 3,
        expiringFiles: 5,
        bytes: 98_304,
        largest: { key: '/config/\xc3\xbc\x07', valueBytes: 2048 },
        internal: 9,
        auth: 0,
        listed: 1211,
        authEntries: 0,
      },
      expiredFiles: 1,
      clientRequests: 40,
      refusedBy36: ['1,211 keys and directories of v2: "detected disallowed custom content in v2store"'],
    },
  };

  it('says what is there, what a server of 3.6 would say, and the way out', () => {
    expect(inspectView.human(report, context)).toMatchInlineSnapshot(`
      "/backup/etcd-1
        member       8e9e05c52164694d of cluster cdf818194e3a8c32, version 3.4.0
        members      m1 (8e9e05c52164694d)
        files        3 segments of log, 183 MiB; 2 snapshots of v2, 1 damaged; begun with 0002-29.snap
        server       none is at work on it
        log          term 3, committed 812, last 814; 2 entries not committed; 17 bytes of a torn tail
        v2 keys      1,200 keys, 96 KiB, in 14 directories; index 790
                     5 with a TTL, 1 whose time ran out, 3 with a hidden name
                     largest /config/ü\\u0007, 2 KiB
        etcd's own   9 nodes of members and version, 0 of v2 users and roles
        v3 keys      12 keys, 640 B; 3 of them on 2 leases; 1 user; revision 40, as of entry 812; the log may hold later ones
                     24 KiB in /backup/etcd-1/member/snap/db

      etcd 3.6 would refuse to start on it
        why  1,211 keys and directories of v2: "detected disallowed custom content in v2store"
        it drops 3 hidden keys of v2 without a word: its check does not see them
        out  1. what is still wanted: move it to v3 with keyferry, from this directory
             2. etcdctl snapshot save FILE from the old server, then on each member   etcdutl snapshot restore FILE
                --data-dir NEW, with the flags of a new cluster: the new directories hold no v2 content
                or, on 3.5 with --enable-v2: delete every key of v2, restart with --snapshot-count=1, make some writes
             3. look again: keyferry inspect, which sees hidden keys too, and etcdutl check v2store (from 3.5.18 on)

      It can be migrated from: kind: etcd-v2-datadir, dataDir: /backup/etcd-1
      "
    `);
  });

  it('says why a migration from it would be refused, and what there is where little can be read', () => {
    const problem = { code: 'datadir.incomplete', message: 'the files do not fit together', remedy: 'copy them\nall' };
    const text = inspectView.human(
      { ...report, content: null, backend: null, problem, server: { kind: 'unknown' } },
      context,
    );
    expect(text).toMatchInlineSnapshot(`
      "/backup/etcd-1
        files     3 segments of log, 183 MiB; 2 snapshots of v2, 1 damaged; begun with 0002-29.snap
        server    this system does not tell whether one is at work on it
        v3 keys   none: there is no member/snap/db

      It cannot be migrated from as it is: the files do not fit together
        fix    copy them
               all
        more   keyferry explain datadir.incomplete
      "
    `);
  });

  it('is a document with keys as keys', () => {
    expect(inspectView.json(report, [])).toMatchObject({
      format: 'keyferry.inspect',
      directory: '/backup/etcd-1',
      content: {
        v2: { largest: { key: { text: '/config/ü\u0007' }, valueBytes: 2048 } },
        members: [{ id: '8e9e05c52164694d' }],
      },
    });
  });
});
