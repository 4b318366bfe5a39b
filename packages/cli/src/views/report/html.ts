/**
 * The report as one HTML page that needs nothing else: no network (its own policy forbids it), no script, charts as
 * inline SVG. It reads on a phone, on paper, in light and dark.
 */
import { instantText, keyForDisplay, keyFromJson, type KeyJson } from '@keyferry/core';
import { keyferryVersion } from '@keyferry/adapters/version';
import { holderForPeople } from '../../lock-holder.ts';
import { restoreText } from '../backups.ts';
import { bytesText, counted, countText, durationText, instantForPeople } from '../layout/numbers.ts';
import { textForDisplay } from '../layout/keys.ts';
import { whoText } from '../state/history.ts';
import { bucketsChart } from './charts/buckets.ts';
import { lanesChart } from './charts/lanes.ts';
import { latencyChart, throughputChart } from './charts/steps.ts';
import {
  countRows,
  courseSentence,
  deadLetterNote,
  nextCommand,
  reportOf,
  tilesOf,
  timeText,
  wayBackText,
  type Report,
} from './facts.ts';
import { markup, Markup } from './markup.ts';
import { style } from './style.ts';
import type { ReportData } from '@keyferry/engine';

/** Rows of a table that may be long; the rest is counted. */
const rowsMax = 500;

export function reportHtml(data: ReportData, nowMs: number): string {
  const report = reportOf(data);
  const { state, verdict } = report;
  const policy = "default-src 'none'; style-src 'unsafe-inline'";
  const page = markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${state.migration}: keyferry report</title>
<style>${new Markup(style)}</style>
</head>
<body>
<main>
<header>
<h1>${state.migration} <span class="verdict ${verdict.level}">${verdict.text}</span></h1>
<p class="soft">plan <code>${state.plan}</code>, attempt ${state.attempt}, applied as <code>${state.appliedAs}</code></p>
</header>
<section class="tiles" aria-label="Summary">${tilesOf(report).map(
    ({ value, label }) => markup`<div class="tile"><b>${value}</b><span>${label}</span></div>`,
  )}</section>
${deviationsSection(report)}
${countsSection(report)}
${courseSection(report)}
${verifySection(report)}
${findingsSection(report)}
${differencesSection(report)}
${deadLettersSection(report)}
${backupsSection(report)}
${runsSection(report)}
${eventsSection(report)}
${wayBackSection(report)}
<footer>Written by keyferry ${keyferryVersion()} on ${timeText(nowMs)}, from state alone. It holds keys and counts, no values.</footer>
</main>
</body>
</html>
`;
  return page.text;
}

const key = (json: KeyJson): Markup => markup`<span class="key">${keyForDisplay(keyFromJson(json))}</span>`;

function section(id: string, title: string, body: Markup | readonly Markup[]): Markup {
  return markup`<section aria-labelledby="${id}"><h2 id="${id}">${title}</h2>${body}</section>`;
}

type Align = 'n' | 'w' | '';

function table(heads: readonly (readonly [string, Align])[], rows: readonly (readonly (Markup | string)[])[]): Markup {
  const shown = rows.slice(0, rowsMax);
  const rest = rows.length - shown.length;
  return markup`<div class="table"><table>
<thead><tr>${heads.map(([text, align]) => markup`<th class="${align}" scope="col">${text}</th>`)}</tr></thead>
<tbody>${shown.map(
    (row) => markup`<tr>${row.map((cell, i) => markup`<td class="${heads[i]?.[1] ?? ''}">${cell}</td>`)}</tr>`,
  )}</tbody>
</table></div>${rest > 0 ? markup`<p class="soft">and ${countText(rest)} more</p>` : ''}`;
}

function deviationsSection({ deviations }: Report): Markup {
  if (deviations.length === 0) return markup``;
  const items = deviations.map((each) => markup`<li class="bad">${each}</li>`);
  return section('deviations', 'Not as planned', markup`<ul>${items}</ul>`);
}

function countsSection({ data: { status } }: Report): Markup {
  if (status.counts === null) return markup``;
  const rows = countRows(status.plan, status.counts);
  const body = rows.map(
    ({ label, planned, done, note, differs }, i) =>
      markup`<tr class="${i === rows.length - 1 ? 'sum' : ''}"><td class="w">${label}</td><td class="n">${planned === null ? '' : countText(planned)}</td><td class="n ${differs ? 'bad' : ''}">${countText(done)}${differs ? ' !' : ''}</td><td class="soft">${note}</td></tr>`,
  );
  return section(
    'counts',
    'Plan against what happened',
    markup`<div class="table"><table><thead><tr><th scope="col">records</th><th scope="col" class="n">planned</th><th scope="col" class="n">done</th><th scope="col"></th></tr></thead><tbody>${body}</tbody></table></div>`,
  );
}

function courseSection({ data: { run }, course }: Report): Markup {
  if (run === null || course === null) return markup``;
  const sentence = courseSentence(course);
  if (course.records === 0 && course.requests === 0) {
    return section('course', `Course of ${run.run}`, markup`<p class="soft">${sentence}.</p>`);
  }
  const workers = new Set(run.chunks.map(({ worker }) => worker)).size;
  const chunks = run.chunks.reduce((sum, each) => sum + each.chunks, 0);
  const lanes = `${counted(chunks, 'chunk')} by ${counted(workers, 'worker')}`;
  return section('course', `Course of ${run.run}`, [
    markup`<p class="soft">${sentence}.</p>`,
    markup`<div class="charts">
<figure><h3>Throughput</h3><figcaption>records dealt with a second</figcaption>${throughputChart(course, sentence)}${
      course.failures > 0 ? markup`<p class="legend"><i class="x"></i>requests that failed and were repeated</p>` : ''
    }</figure>
<figure><h3>Write latency</h3><figcaption>of single requests to the target</figcaption>${latencyChart(course, sentence)}<p class="legend"><i class="a"></i>p50<i class="b"></i>p99</p></figure>
<figure><h3>Chunks by worker</h3><figcaption>${lanes}</figcaption>${lanesChart(run.chunks, course.endMs, lanes)}</figure>
</div>`,
  ]);
}

function verifySection({ data: { verified } }: Report): Markup {
  const verify = verified?.verify ?? null;
  if (verified === null || verify === null) return markup``;
  const agree = verify.verdict === 'agree';
  const summary = agree ? 'all buckets agree' : `the sides differ in ${counted(verify.differencesTotal, 'key')}`;
  const side = (name: string, records: number, digest: string, position: string): readonly (Markup | string)[] => [
    name,
    countText(records),
    markup`<code>${digest}</code>`,
    markup`<code>${position}</code>`,
  ];
  const besides = [
    verify.kept > 0 ? `${countText(verify.kept)} differ as planned` : '',
    verify.targetOnly > 0 ? `${countText(verify.targetOnly)} in the target only` : '',
    verify.expired > 0 ? `${countText(verify.expired)} whose time ran out meanwhile` : '',
  ].filter((each) => each !== '');
  return section('verify', 'Both sides', [
    markup`<p><span class="${agree ? 'good' : 'bad'}"><b>${agree ? 'They agree' : 'They differ'}</b></span> <span class="soft">as of ${timeText(verify.atMs)}, by <code>${verified.run}</code>${besides.length > 0 ? `; besides, ${besides.join(', ')}` : ''}</span></p>`,
    table(
      [
        ['side', 'w'],
        ['records', 'n'],
        ['digest', ''],
        ['position', ''],
      ],
      [
        side('source', verify.source.count, verify.source.sum, verify.sourcePosition),
        side('target', verify.target.count, verify.target.sum, verify.targetPosition),
      ],
    ),
    markup`<div class="charts under"><figure><h3>Digests by bucket</h3><figcaption>records of each side; a bucket whose sums differ is marked</figcaption>${bucketsChart(verify, summary)}<p class="legend"><i class="a"></i>source<i class="b"></i>target${agree ? '' : markup`<i class="x"></i>target, sums differ`}</p></figure></div>`,
  ]);
}

function findingsSection({ data: { status }, state }: Report): Markup {
  const findings = status.plan?.findings ?? [];
  if (findings.length === 0) return section('findings', 'Findings of the plan', markup`<p class="soft">none</p>`);
  return section(
    'findings',
    'Findings of the plan',
    table(
      [
        ['code', 'w'],
        ['level', 'w'],
        ['count', 'n'],
        ['what', ''],
        ['accepted', 'w'],
      ],
      findings.map(({ code, level, count, detail, accept }) => [
        markup`<code>${code}</code>`,
        level,
        countText(count),
        detail,
        state.accepted.includes(code) ? 'by name' : accept ? 'no' : 'not asked for',
      ]),
    ),
  );
}

function differencesSection({ data: { verified } }: Report): Markup {
  const verify = verified?.verify ?? null;
  if (verify === null || verify.differences.length === 0) return markup``;
  const rest = verify.differencesTotal - verify.differences.length;
  return section('differences', counted(verify.differencesTotal, 'key differs', 'keys differ'), [
    table(
      [
        ['key', ''],
        ['what', 'w'],
      ],
      verify.differences.map(({ key: json, what }) => [key(json), what]),
    ),
    markup`${rest > 0 ? markup`<p class="soft">and ${countText(rest)} more</p>` : ''}`,
  ]);
}

function deadLettersSection({ data: { deadLetters, deadLettersTotal } }: Report): Markup {
  if (deadLettersTotal === 0) return markup``;
  const rest = deadLettersTotal - deadLetters.length;
  return section('dead-letters', counted(deadLettersTotal, 'dead letter'), [
    table(
      [
        ['key', ''],
        ['chunk', 'w'],
        ['reason', ''],
      ],
      deadLetters.map((letter) => {
        const note = deadLetterNote(letter);
        const tag = note === '' ? '' : markup` <span class="tag">${note}</span>`;
        return [markup`${key(letter.targetKey)}${tag}`, letter.chunk, letter.reason];
      }),
    ),
    markup`${rest > 0 ? markup`<p class="soft">and ${countText(rest)} more in the state</p>` : ''}`,
  ]);
}

function backupsSection({ state }: Report): Markup {
  const { backups = [] } = state;
  if (backups.length === 0) return markup``;
  const heads = [
    ['of', 'w'],
    ['where', 'w'],
    ['size', 'n'],
    ['SHA-256', ''],
    ['made', ''],
    ['restore', 'w'],
  ] as const;
  const rows = backups.map(({ side, store, what, path, bytes, sha256, takenAt }) => [
    `${side} ${store}`,
    markup`<code>${textForDisplay(path)}</code>`,
    bytesText(bytes),
    markup`<code>${sha256}</code>`,
    instantForPeople(takenAt),
    textForDisplay(restoreText(what, path)),
  ]);
  return section('backups', 'Backups before the first write', table(heads, rows));
}

function runsSection({ data: { runs } }: Report): Markup {
  return section(
    'runs',
    'Runs',
    table(
      [
        ['run', ''],
        ['command', 'w'],
        ['began', 'w'],
        ['took', 'n'],
        ['ended', ''],
        ['by', ''],
      ],
      runs.map(({ run, command, startedAtMs, endedAtMs, outcome, by }) => [
        markup`<code>${run}</code>`,
        command,
        instantForPeople(instantText(startedAtMs)),
        endedAtMs === null ? '' : durationText(endedAtMs - startedAtMs),
        outcome ?? 'no end recorded',
        holderForPeople(by),
      ]),
    ),
  );
}

function eventsSection({ data: { events } }: Report): Markup {
  if (events.length === 0) return markup``;
  return section(
    'history',
    'History',
    table(
      [
        ['when (UTC)', 'w'],
        ['what', ''],
        ['who', ''],
      ],
      events.map(({ atMs, message, by, run }) => [
        instantText(atMs).slice(0, 19).replace('T', ' '),
        textForDisplay(message),
        whoText(by, run),
      ]),
    ),
  );
}

function wayBackSection(report: Report): Markup {
  const next = nextCommand(report);
  return section(
    'way-back',
    'From here',
    markup`<dl><dt>next</dt><dd>${next === null ? 'nothing is left to do' : markup`<code>${next}</code>`}</dd><dt>way back</dt><dd><code>${wayBackText(report)}</code></dd></dl>`,
  );
}
