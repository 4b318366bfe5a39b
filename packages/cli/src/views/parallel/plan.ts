/** A plan of strategy `parallel`: what would be lost, how long writes would be refused, and the way back from each phase. */
import { instantText, type ParallelPlan, type RegistryKind } from '@keyferry/core';
import { columns, indent } from '../layout/columns.ts';
import { stepLines } from '../layout/commands.ts';
import { bytesText, counted, countText, durationText, instantForPeople } from '../layout/numbers.ts';
import { findingLines } from '../plan/findings.ts';
import { envelope, type View, type ViewContext } from '../view.ts';
import { rollbackLines } from './rollback-table.ts';

export interface ParallelPlanResult {
  readonly plan: ParallelPlan;
  readonly file: string | null;
}

export const parallelPlanView: View<ParallelPlanResult> = {
  human,
  json: ({ plan, file }, warnings) => {
    const { createdAtMs, expiresAtMs, keyferryVersion: _envelopeHasIt, ...rest } = plan;
    return envelope('keyferry.parallel-plan', warnings, {
      ...rest,
      createdAt: instantText(createdAtMs),
      expiresAt: instantText(expiresAtMs),
      file,
    });
  },
};

function human({ plan, file }: ParallelPlanResult, context: ViewContext): string {
  const { palette } = context;
  const { source, target, balancers, archive, freeze, phases, migration } = plan;
  const facts = [
    ['source', `Apicurio Registry ${source.system.version}   ${source.where}`],
    ['target', `Apicurio Registry ${target.system.version}   ${target.where}`],
    ...balancers.map(({ name, kind, url }) => [name, `${kind}   ${url}`]),
    ['archive', `${archive.file}, ${bytesText(archive.bytes)}, sha256 ${archive.sha256.slice(0, 12)}`],
    ['complete', completeness(plan)],
    ['besides', besides(plan)],
    ...plan.besides.unreadable.slice(0, 10).map(({ what, why }) => ['', `not ${what}: ${why}`]),
    [
      'next ids',
      `globalId ${plan.foresight.nextGlobalId}, contentId ${plan.foresight.nextContentId}: ids above that 2.x gave and deleted come again`,
    ],
  ];
  const next = `keyferry apply ${file ?? migration}`;
  return [
    `${palette.strong(`Plan ${plan.plan}`)}   ${migration}   strategy parallel   (nothing was written to a registry or a load balancer)`,
    '',
    ...indent(columns(facts, [{ align: 'left' }, { align: 'left' }])),
    '',
    ...indent(entityLines(plan)),
    '',
    ...findingLines(plan, palette),
    '',
    palette.strong(`Writes would be refused for about ${durationText(freeze.totalMs)}`),
    ...indent(
      columns(
        freeze.parts.map(({ what, ms, basis }) => [durationText(ms), what, basis]),
        [{ align: 'right' }, { align: 'left' }, { align: 'left' }],
      ),
    ),
    '',
    ...settingsLines(plan, context),
    palette.strong('Phases'),
    ...indent(
      columns(
        phases.map(({ phase, checks, confirmed }) => [phase, confirmed ? 'asks' : '', `passed once ${checks}`]),
        [{ align: 'left' }, { align: 'left' }, { align: 'left' }],
      ),
    ),
    '',
    palette.strong('Way back'),
    ...indent(rollbackLines(plan.rollback)),
    '',
    file === null ? 'Not saved.' : `Saved ${file}, valid until ${instantForPeople(instantText(plan.expiresAtMs))}.`,
    ...(plan.applyable ? stepLines(next, null, context) : ['Not applyable: solve what blocks it, then plan again.']),
    '',
  ].join('\n');
}

/** Without values: those are in the file. */
function settingsLines({ settings }: ParallelPlan, { palette }: ViewContext): string[] {
  if (settings === null) return [];
  const rows = settings.settings.map(({ old, name, fate, note }) => [fate, old ?? '', name ?? '', note ?? '']);
  return [
    `${palette.strong(`Settings of 3.x`)}   made of ${settings.file}: ${settings.into}`,
    ...indent(columns(rows, [{ align: 'left' }, { align: 'left' }, { align: 'left' }, { align: 'left' }])),
    '',
  ];
}

function completeness({ completeness: proof }: ParallelPlan): string {
  if (proof === null) return 'not asked: the archive was given';
  const walked = `walked in ${durationText(proof.census.tookMs)}, ${counted(proof.census.requests, 'request')}`;
  if (!proof.complete && proof.missingTotal === 0)
    return `as far as a registry in use can be: the freeze proves it; ${walked}`;
  return proof.complete
    ? `yes: all that the API shows is in it; ${walked}`
    : `no: ${proof.missingTotal} lacking; ${walked}`;
}

function besides({ besides: { roles, settings, owners, groupLabels } }: ParallelPlan): string {
  return [
    counted(roles, 'role mapping'),
    counted(settings, 'setting'),
    counted(owners, 'owner'),
    `labels of ${counted(groupLabels, 'group')}`,
  ].join(', ');
}

function entityLines({ foresight: { archived, expected } }: ParallelPlan): string[] {
  const kinds = (Object.keys(archived) as RegistryKind[]).filter((kind) => archived[kind] + expected[kind] > 0);
  const rows = kinds.map((kind) => [kind, countText(archived[kind]), countText(expected[kind])]);
  return columns(
    [['', 'in the archive', 'after the import'], ...rows],
    [{ align: 'left' }, { align: 'right', gap: 3 }, { align: 'right', gap: 3 }],
  );
}
