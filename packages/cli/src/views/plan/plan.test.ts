/**
 * Goal: the plan's page is the one that users review and that the conventions show.
 * Method: the sample plan as a snapshot, then what changes when it is blocked, unsaved, shown, asked about, expired.
 */
import { costOf, listPrices, type CostEstimate, type PlanDocument } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { blockedPlan, blocking, change, collision, nowMs, samplePlan } from '../../../test/fixtures/plan.ts';
import { plainPalette } from '../../terminal/palette.ts';
import type { ViewContext } from '../view.ts';
import { findingsView } from '../show/findings.ts';
import { planView } from './index.ts';
import { planMarkdown } from './markdown.ts';
import type { PlanResult } from './result.ts';

const context: ViewContext = { palette: plainPalette, nowMs, configFlag: null, holderIsGone: () => false };
const made: PlanResult = { plan: samplePlan, file: 'config.kfplan', occasion: 'made' };
const lastLine = (result: PlanResult, at = context): string =>
  planView.human(result, at).trimEnd().split('\n').at(-1) ?? '';

describe('a plan that overwrites and deletes', () => {
  const target = { version: '1198', bytes: 38, digest: 'e19c0a64b7d20f35' };
  const { totals } = samplePlan;
  const plan: PlanDocument = {
    ...samplePlan,
    onConflict: 'overwrite',
    prune: true,
    totals: {
      ...totals,
      actions: {
        ...totals.actions,
        conflict: { keys: 0, bytes: 0 },
        overwrite: { keys: 1, bytes: 41 },
        delete: { keys: 2, bytes: 50 },
      },
    },
    byPrefix: samplePlan.byPrefix.map((row) => ({ ...row, conflict: 0, overwrite: row.conflict, delete: 2 })),
    lookFirst: [
      change('/config/gone', 38, { action: 'delete', sourceKey: null, target }),
      change('/config/db/password', 12, { action: 'delete', sourceKey: null, target, sensitive: true }),
      change('/config/features/beta', 41, { action: 'overwrite', target }),
    ],
  };
  const page = (of: PlanDocument): string => planView.human({ ...made, plan: of }, context);

  it('shows each kind, and what is kept for the way back', () => {
    const lines = page(plan).split('\n');
    expect(lines.slice(8, 27).join('\n')).toMatchInlineSnapshot(`
      "                     keys      bytes
        + create         12,310   37.4 MiB   only if absent
        ~ overwrite           1       41 B   only at the version recorded here
        - delete              2       50 B   in the target only, at the version recorded here
        = equal               1        9 B
        ! conflict            0          0
        . not carried       292          -   275 directories with children, 17 empty directories
        total            12,604

        by prefix              create  overwrite  delete   equal  conflict    TTL      bytes   largest
        /config/features/         412          1       2       0         0      0     61 KiB     2 KiB
        /config/limits/           164          0       2       1         0      0      9 KiB     112 B
        /config/routes/         9,830          0       2       0         0      0   35.4 MiB   212 KiB
        /config/sessions/       1,904          0       2       0         0  1,904    1.9 MiB     3 KiB

      Look here first
        - /config/gone            38 B, at version 1198
        - /config/db/password     12 B (sensitive)
        ~ /config/features/beta   source 41 B 5f1c04aa, target 38 B e19c0a64 version 1198"
    `);
    expect(lines.filter((line) => /keep|undo|^Plan:/.test(line)).join('\n')).toMatchInlineSnapshot(`
      "      fix   settle it by hand, or say   onConflict: keep-target
        keep     3 records as they are now, in the state, before the first of a batch is changed
        undo     keyferry rollback config-v2-to-v3: removes what this run created and puts back what it overwrote or deleted, if nobody changed it
      Plan: 12,310 to create, 1 to overwrite, 2 to delete; 1 equal, 0 conflict, 292 not carried; 2 warnings."
    `);
  });
  it('says in so many words what nothing brings back', () => {
    const lines = page({ ...plan, keepBefore: false }).split('\n');
    const at = lines.findIndex((line) => line.includes('undo'));
    expect(lines.slice(at, at + 2).join('\n')).toMatchInlineSnapshot(`
      "  undo     keyferry rollback config-v2-to-v3: removes what this run created and nobody changed
                 cannot bring back 3 records that it overwrites or deletes: keepBefore is false"
    `);
  });
});

describe('what a plan costs', () => {
  const work = {
    sharedState: true,
    source: null,
    target: { itemOverheadBytes: 10, writes: 'transactions' },
    sourceRead: { keys: 100_000, bytes: 50_000_000 },
    targetRead: { keys: 100_000, bytes: 50_000_000 },
    changes: { keys: 100_000, bytes: 50_000_000, itemUnits: 100_000 },
    keptBytes: 0,
    changesListed: 100_000,
    transactions: 1031,
    chunks: 10,
    workers: 2,
    functions: 1,
    ratePerSecond: null,
    scanMs: 5000,
  } as const;
  const costOfTable = costOf(work, listPrices);
  const costed = (cost: CostEstimate | null): PlanDocument => (cost === null ? samplePlan : { ...samplePlan, cost });
  const costLinesOf = (plan: PlanDocument): string => {
    const lines = planView.human({ ...made, plan }, context).split('\n');
    const from = lines.findIndex((line) => line.startsWith('  cost '));
    return lines
      .slice(
        from,
        lines.findIndex((line) => line.startsWith('Plan: ')),
      )
      .join('\n');
  };

  it('is shown by thing, for this plan and for a million keys, with both ways to write into a table', () =>
    expect(costLinesOf(costed(costOfTable))).toMatchInlineSnapshot(`
      "  cost     $0.1395 ($1.39 a million keys), $0.1437 ($1.44 a million keys) by functions: estimated, by prices of us-east-1, 2026-11, if nothing goes wrong
                                              units      this plan  a million keys
                 state writes        54 write units  under $0.0001         $0.0003  10 chunks
                 state reads          91 read units  under $0.0001         $0.0001
                 target reads     12,452 read units        $0.0016         $0.0156  the prefix, as often as apply reads it
                 target writes  220,620 write units        $0.1379           $1.38  as configured; writes: transactions, fenced
                 target writes  120,620 write units        $0.0879         $0.8789  the other way, instead; writes: single, not fenced
                 state writes     5,892 write units        $0.0037         $0.0368  by functions, on top; the plan in the state, checks
                 functions                  40 GB-s        $0.0005         $0.0053  by functions, on top; 1.769 GB, arm64; 1 invocation
                 state machine       86 transitions        $0.0022         $0.0215  with a Distributed Map, on top; instead of schedules"
    `));

  it('is part of the document', () => {
    const document = planView.json({ ...made, plan: costed(costOfTable) }, []);
    expect(document).toMatchObject({ cost: costOfTable });
  });

  it('is a section of the text for a pull request', () => {
    const page = planMarkdown({ ...made, plan: costed(costOfTable) }, context);
    expect(page.slice(page.indexOf('#### Costs'), page.indexOf('\nNext: '))).toMatchInlineSnapshot(`
      "#### Costs

      $0.1395 ($1.39 a million keys), $0.1437 ($1.44 a million keys) by functions: estimated, by prices of us-east-1, 2026-11, if nothing goes wrong.

      |  | units | this plan | a million keys |
      | --- | --: | --: | --: |
      | state writes: 10 chunks | 54 write units | under $0.0001 | $0.0003 |
      | state reads | 91 read units | under $0.0001 | $0.0001 |
      | target reads: the prefix, as often as apply reads it | 12,452 read units | $0.0016 | $0.0156 |
      | target writes: as configured; writes: transactions, fenced | 220,620 write units | $0.1379 | $1.38 |
      | target writes: the other way, instead; writes: single, not fenced | 120,620 write units | $0.0879 | $0.8789 |
      | state writes: by functions, on top; the plan in the state, checks | 5,892 write units | $0.0037 | $0.0368 |
      | functions: by functions, on top; 1.769 GB, arm64; 1 invocation | 40 GB-s | $0.0005 | $0.0053 |
      | state machine: with a Distributed Map, on top; instead of schedules | 86 transitions | $0.0022 | $0.0215 |
      "
    `);
  });

  it('is not mentioned where nothing is billed by use', () => {
    const free = { ...made, plan: costed(costOf({ ...work, sharedState: false, target: null }, listPrices)) };
    expect(planView.human(free, context)).not.toContain('  cost ');
    expect(planMarkdown(free, context)).not.toContain('#### Costs');
    expect(planView.json(free, [])).not.toHaveProperty('cost');
  });
});

describe('the plan for people', () => {
  it.each([
    { compared: 3, members: 3, want: '  members all 3 agree, at raft index 51200871' },
    { compared: 2, members: 3, want: '  members 2 of 3 were compared, and agree, at raft index 51200871' },
    { compared: 1, members: 3, want: '  members the member that was asked is at raft index 51200871' },
    { compared: 2, members: null, want: '  members all 2 agree, at raft index 51200871' },
  ])('says of $members members that $compared were compared', ({ compared, members, want }) => {
    const { source } = samplePlan;
    const side = { ...source, membersCompared: compared, description: { ...source.description, members } };
    expect(planView.human({ ...made, plan: { ...samplePlan, source: side } }, context)).toContain(want);
  });

  it('is a page to review', () => {
    expect(planView.human(made, context)).toMatchInlineSnapshot(`
      "Plan pln_01JDA3WQ7K   config-v2-to-v3   strategy offline   (nothing was written)

        source  etcd-v2  3 members, 3.4.23   prefix /config/   position 48211907
        target  etcd-v3  same cluster        prefix /config/   position 1204, 2 keys there
        members all 3 agree, at raft index 51200871
        scan    12,604 entries, 292 of them not carried, in 8.1 s
        rules   same key bytes; directories become prefixes; TTL becomes a lease   digest 4be1c07a

                           keys      bytes
        + create         12,310   37.4 MiB   only if absent
        ~ overwrite           0          0   onConflict: keep-target
        - delete              0          0   never in this migration
        = equal               1        9 B
        ! conflict            1       41 B   target differs and is kept
        . not carried       292          -   275 directories with children, 17 empty directories
        total            12,604

        by prefix              create   equal  conflict    TTL      bytes   largest
        /config/features/         412       0         1      0     61 KiB     2 KiB
        /config/limits/           164       1         0      0      9 KiB     112 B
        /config/routes/         9,830       0         0      0   35.4 MiB   212 KiB
        /config/sessions/       1,904       0         0  1,904    1.9 MiB     3 KiB

      Look here first
        ! /config/features/beta     source 41 B 77b0f3d2, target 38 B e19c0a64 version 1198
        + /config/routes/eu/table   212 KiB, the largest value
        + /config/sessions/ab/91f   88 B, TTL 38 s left
        + /config/db/password       32 B (sensitive)
      Changes of meaning
        ttl.to-lease   1,904 keys with a TTL share at most 288 leases; a key may live up to 5 min longer
        dir.empty      17 empty directories have no form in etcd-v3
        index.changed  versions begin anew in the target; clients that compare them have to read them again
      Findings   0 blocking, 2 warnings
        warning  conflict.kept   1 key holds another value in the target
            fix   settle it by hand, or say   onConflict: keep-target
        warning  ttl.short       6 keys have under 2 min left and may expire before they are reached
            fix   apply soon; what expires meanwhile is counted, not lost
      Apply would
        write    12,310 keys in 99 transactions (at most 125 guarded keys each), 4 chunks, 2 workers
        take     about 8.1 s (1,556 entries/s, as in this scan), plus 495 ms for each 10 ms that a transaction takes
        verify   digests of both sides, then stop
        undo     keyferry rollback config-v2-to-v3: removes what this run created and nobody changed
      Plan: 12,310 to create, 0 to overwrite, 0 to delete; 1 equal, 1 conflict, 292 not carried; 2 warnings.
      Saved config.kfplan, valid until 2026-11-22 06:30 UTC.   Next: keyferry apply config.kfplan
      "
    `);
  });

  it('names what blocks, with keys and the way out', () => {
    const page = planView.human({ plan: blockedPlan, file: 'config.kfplan', occasion: 'made' }, context);
    expect(page.slice(page.indexOf('Findings'))).toMatchInlineSnapshot(`
      "Findings   1 blocking, 1 warning
        blocking  value.too-large   records are over the limit of the target
            /config/search/synonyms.de
            /config/search/synonyms.fr
            and 5 more
            fix   exclude the keys, shrink the values, or raise the limit of the target
        warning   conflict.kept     1 key holds another value in the target
            fix   settle it by hand, or say   onConflict: keep-target
      Apply would (once nothing blocks)
        write    12,303 keys in 99 transactions (at most 125 guarded keys each), 4 chunks, 2 workers
        take     about 8.1 s (1,556 entries/s, as in this scan), plus 495 ms for each 10 ms that a transaction takes
        verify   digests of both sides, then stop
        undo     keyferry rollback config-v2-to-v3: removes what this run created and nobody changed
      Plan: 12,303 to create, 0 to overwrite, 0 to delete; 1 equal, 1 conflict, 7 blocked, 292 not carried; 1 warning.
      Saved config.kfplan for review. Not applyable: solve value.too-large.   (exit 4)
      "
    `);
    expect(page).toContain('  ! blocked             7    4.5 MiB   see findings');
  });

  it('lists the rules, how keys are brought into order, and the way back', () => {
    const rules = ['rename /a/{x} to /{x}/a', 'module ./r.ts'];
    const page = (more: Partial<typeof samplePlan>): string =>
      planView.human({ ...made, plan: { ...samplePlan, rules, ...more } }, context);
    expect(page({ order: 'spilled' })).toContain(
      [
        '  rules   same prefix; directories become prefixes; TTL becomes a lease   digest 4be1c07a',
        '          rename /a/{x} to /{x}/a',
        '          module ./r.ts',
        '  order   spilled to disk and sorted: the rules change the order of keys',
        '',
      ].join('\n'),
    );
    expect(page({})).toContain('  order   merged: the rules keep the order of keys\n');
    expect(page({})).toContain('  way back lossless: what the rules do can be undone exactly\n');
    expect(page({ wayBack: 'none' })).toContain(
      '  way back none: a rule changes keys or values in a way that cannot be undone\n',
    );
    expect(page({ wayBack: 'none', oneWay: 3 })).toContain(
      '  way back none: 3 keys that no rule renames would be taken for renamed ones\n',
    );
  });

  it('says of each key that collides which source keys would become it', () => {
    const page = planView.human({ ...made, plan: { ...samplePlan, findings: [collision], applyable: false } }, context);
    expect(page).toContain(
      [
        '  blocking  key.collision   8 source keys would become 4 keys of the target',
        '      /config/a     /old/A and /old/a would all become it',
        '      /config/bcd   /old/BCD and /old/bcd would all become it',
        '      and 4 more',
        '      fix   change the rule',
      ].join('\n'),
    );
  });

  it.each<[string, PlanResult, string]>([
    ['saved', made, 'Saved config.kfplan, valid until 2026-11-22 06:30 UTC.   Next: keyferry apply config.kfplan'],
    [
      'not saved',
      { ...made, file: null },
      'Not saved.   Next: keyferry plan config-v2-to-v3 --out config-v2-to-v3.kfplan',
    ],
    [
      'shown',
      { ...made, occasion: 'shown' },
      'config.kfplan, valid until 2026-11-22 06:30 UTC.   Next: keyferry apply config.kfplan',
    ],
    [
      'asked about',
      { ...made, file: 'config-v2-to-v3', occasion: 'asking' },
      'Plan: 12,310 to create, 0 to overwrite, 0 to delete; 1 equal, 1 conflict, 292 not carried; 2 warnings.',
    ],
    [
      'blocked and not saved',
      { ...made, plan: blockedPlan, file: null },
      'Not applyable: solve value.too-large.   (exit 4)',
    ],
  ])('ends rightly when %s', (_, result, want) => expect(lastLine(result)).toBe(want));

  it('says that it expired, and names the configuration that was used', () => {
    const late = { ...context, nowMs: Date.parse('2026-11-23T00:00:00Z'), configFlag: 'staging.yaml' };
    expect(lastLine({ ...made, occasion: 'shown' }, late)).toBe(
      'config.kfplan expired 2026-11-22 06:30 UTC.   Next: keyferry plan config-v2-to-v3 --out config.kfplan -c staging.yaml',
    );
  });

  it('names the findings that apply asks to accept', () => {
    const findings = samplePlan.findings.map((each) => ({ ...each, code: 'ttl.dropped' as const, accept: true }));
    const page = planView.human({ ...made, plan: { ...samplePlan, findings } }, context);
    expect(page).toContain('      needs --accept ttl.dropped at apply');
    expect(page.trimEnd()).toMatch(/Next: keyferry apply config\.kfplan --accept ttl\.dropped$/);
  });

  it('quotes a file whose name a shell would break', () =>
    expect(lastLine({ ...made, file: 'my plan.kfplan' })).toMatch(/Next: keyferry apply 'my plan\.kfplan'$/));

  it('does not let a key forge a line', () => {
    const [first] = samplePlan.lookFirst;
    const forged = {
      ...samplePlan,
      lookFirst: first === undefined ? [] : [{ ...first, targetKey: { text: 'a\nPlan: 0' } }],
    };
    expect(planView.human({ ...made, plan: forged }, context)).toContain('! a\\u000aPlan: 0');
  });
});

describe('the plan as a document', () => {
  const document = JSON.parse(JSON.stringify(planView.json(made, ['slow']))) as Record<string, unknown>;

  it('begins with the envelope', () => {
    expect(Object.keys(document).slice(0, 5)).toEqual([
      'format',
      'formatVersion',
      'keyferryVersion',
      'warnings',
      'file',
    ]);
    expect(document).toMatchObject({
      format: 'keyferry.plan',
      formatVersion: '1.0',
      warnings: ['slow'],
      file: 'config.kfplan',
    });
  });

  it('holds neither the salt nor digests of sensitive keys, by which values could be guessed', () => {
    expect(document).not.toHaveProperty('salt');
    const rows = document['lookFirst'] as { sensitive: boolean; digest: string | null }[];
    expect(rows.map(({ sensitive, digest }) => sensitive === (digest === null))).toEqual([true, true, true, true]);
  });
});

describe('the plan as Markdown', () => {
  const markdown = (plan = samplePlan): string => planMarkdown({ ...made, plan }, context);

  it('is a text for a pull request', () =>
    expect(markdown()).toMatchInlineSnapshot(`
    "### Plan \`pln_01JDA3WQ7K\` of \`config-v2-to-v3\`

    offline, from etcd-v2 \`/config/\` to etcd-v3 \`/config/\`; made 2026-11-21 06:30 UTC, valid until 2026-11-22 06:30 UTC.

    **Plan: 12,310 to create, 0 to overwrite, 0 to delete; 1 equal, 1 conflict, 292 not carried; 2 warnings.**

    |  | keys | bytes |
    | --- | --: | --: |
    | create | 12,310 | 37.4 MiB |
    | equal | 1 | 9 B |
    | conflict | 1 | 41 B |
    | blocked | 0 | 0 B |
    | not carried | 292 |  |
    | total | 12,604 |  |

    #### Findings

    - **warning** \`conflict.kept\`: 1 key holds another value in the target. Fix: settle it by hand, or say   onConflict: keep-target.
    - **warning** \`ttl.short\`: 6 keys have under 2 min left and may expire before they are reached. Fix: apply soon; what expires meanwhile is counted, not lost.

    #### Look here first

    - \`!\` \`/config/features/beta\` source 41 B 77b0f3d2, target 38 B e19c0a64 version 1198
    - \`+\` \`/config/routes/eu/table\` 212 KiB
    - \`+\` \`/config/sessions/ab/91f\` 88 B, TTL 38 s left
    - \`+\` \`/config/db/password\` 32 B (sensitive)

    #### Changes of meaning

    - \`ttl.to-lease\`: 1,904 keys with a TTL share at most 288 leases; a key may live up to 5 min longer
    - \`dir.empty\`: 17 empty directories have no form in etcd-v3
    - \`index.changed\`: versions begin anew in the target; clients that compare them have to read them again

    #### By prefix

    | prefix | create | equal | conflict | blocked | bytes | largest |
    | --- | --: | --: | --: | --: | --: | --: |
    | \`/config/features/\` | 412 | 0 | 1 | 0 | 61 KiB | 2 KiB |
    | \`/config/limits/\` | 164 | 1 | 0 | 0 | 9 KiB | 112 B |
    | \`/config/routes/\` | 9,830 | 0 | 0 | 0 | 35.4 MiB | 212 KiB |
    | \`/config/sessions/\` | 1,904 | 0 | 0 | 0 | 1.9 MiB | 3 KiB |

    Next: \`keyferry apply config.kfplan\`
    "
  `));

  it('lists rules, order and way back, and the keys that collide', () => {
    const rules = ['rename /a/{x} to /{x}/a'];
    const page = markdown({ ...samplePlan, rules, order: 'spilled', findings: [collision] });
    expect(page).toContain(
      [
        '- **blocking** `key.collision`: 8 source keys would become 4 keys of the target. Fix: change the rule.',
        '  - `/config/a`: /old/A and /old/a would all become it',
        '  - `/config/bcd`: /old/BCD and /old/bcd would all become it',
        '',
        '#### Rules',
        '',
        '1. `rename /a/{x} to /{x}/a`',
        '',
        '- order: spilled to disk and sorted: the rules change the order of keys',
        '- way back: lossless: what the rules do can be undone exactly',
      ].join('\n'),
    );
  });

  it('says what blocks', () => expect(markdown(blockedPlan)).toContain('Not applyable: solve `value.too-large`.'));

  it('does not let a key become Markdown', () => {
    const prefix = { text: 'a`|<b>\n# c' };
    const byPrefix = samplePlan.byPrefix.slice(0, 1).map((row) => ({ ...row, prefix }));
    expect(markdown({ ...samplePlan, byPrefix })).toContain('| `` a`\\|<b>\\u000a# c `` |');
  });
});

describe('one finding of a plan', () => {
  const result = { plan: blockedPlan, findings: [blocking] };
  it('is shown whole', () =>
    expect(findingsView.human(result, context)).toMatchInlineSnapshot(`
    "blocking  value.too-large
      what    records are over the limit of the target
      count   7 cases
      keys    /config/search/synonyms.de
              /config/search/synonyms.fr
              and 5 more, which the plan only counts
      fix     exclude the keys, shrink the values, or raise the limit of the target
      more    keyferry explain value.too-large
    "
  `));
  it('is a document', () =>
    expect(findingsView.json(result, [])).toMatchObject({ format: 'keyferry.findings', findings: [{ count: 7 }] }));
});
