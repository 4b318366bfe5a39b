/** Goal: a reviewer sees at the end whether to import, and why not; a repaired archive is judged by itself. */
import type { ArchiveReport } from '@keyferry/adapters/apicurio';
import { finding, type FindingCode } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { plainPalette as palette } from '../../terminal/palette.ts';
import { archiveView } from './archive.ts';

const context = { palette, nowMs: 0, configFlag: null, holderIsGone: () => false };

function report(...codes: readonly FindingCode[]): ArchiveReport {
  const counts = { archived: 4, kept: 3, byIdOnly: 0, uncertain: 0, lost: 1 };
  return {
    file: 'export.zip',
    bytes: 2048,
    writtenBy: { version: '2.6.13.Final', atMs: Date.UTC(2026, 10, 28), by: 'ada' },
    target: '3.3.3',
    entities: [{ kind: 'versions', ...counts }],
    unpacked: { entries: 12, bytes: 4096 },
    next: { globalId: 5, contentId: 6 },
    findings: codes.map((code) =>
      finding(code, { count: 1, detail: `detail of ${code}`, fix: 'first line\nsecond line' }),
    ),
  };
}

const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1) ?? '';
const human = (codes: readonly FindingCode[]): string =>
  archiveView.human({ report: report(...codes), repaired: null }, context);

describe('archiveView', () => {
  it.each<{ codes: readonly FindingCode[]; want: string }>([
    { codes: [], want: 'Nothing that it holds would be lost.' },
    { codes: ['registry.owner-moves'], want: 'Nothing that it holds would be lost.' },
    { codes: ['registry.labels-clash'], want: 'Do not import it as it is: the server would answer 204 all the same.' },
    {
      codes: ['registry.archive-refused', 'registry.labels-clash'],
      want: 'An import would fail as a whole and leave nothing; the table is what it would do once it is taken.',
    },
  ])('ends with "$want"', ({ codes, want }) => expect(lastLine(human(codes))).toBe(want));

  it('shows what there is, what becomes of it, and each way out', () => {
    expect(human(['registry.labels-clash'])).toMatchInlineSnapshot(`
      "export.zip
        written by   2.6.13.Final for ada, 2026-11-28 00:00 UTC
        size         2 KiB; unpacked 4 KiB in 12 entries
        target       Apicurio Registry 3.3.3, empty; what follows is foreseen and nothing was imported
        next ids     global id 5, content id 6: if versions with these or higher ids were deleted
                     in 2.x, their ids are given again, and old messages with them are read with a wrong schema
        left out     roles, dynamic configuration and log levels are in no export: carry them over by hand

                  archived  kept  by id only  one of  lost
        versions         4     3           -       -     1

      Findings   1 blocking, 0 warnings
        blocking  registry.labels-clash   detail of registry.labels-clash
            fix   first line
                  second line

      Do not import it as it is: the server would answer 204 all the same.
      "
    `);
  });

  it('lists repairs and judges the new archive, in both forms', () => {
    const repairs = [{ code: 'registry.labels-clash', name: 'default/a/1', what: 'Red, red: one stays' }] as const;
    const inspection = {
      report: report('registry.labels-clash'),
      repaired: { file: 'new.zip', repairs, report: { ...report(), file: 'new.zip' } },
    };
    const text = archiveView.human(inspection, context);
    expect(text).toContain(
      'Repaired   1 change; the original is as it was\n  registry.labels-clash  default/a/1   Red, red',
    );
    expect(lastLine(text)).toBe('Nothing that it holds would be lost.');
    expect(archiveView.json(inspection, [])).toMatchObject({
      format: 'keyferry.inspect-export',
      importable: false,
      writtenBy: { version: '2.6.13.Final', at: '2026-11-28T00:00:00.000Z', by: 'ada' },
      repaired: { file: 'new.zip', importable: true, repairs },
    });
  });
});
