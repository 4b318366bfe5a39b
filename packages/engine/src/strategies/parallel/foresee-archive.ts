/** What an import of an archive would lose, judged before it is made; the archive is repaired first where the configuration asks for that. */
import { judgedFindings, type ArchiveReceipt, type Foresight, type RepairReceipt } from '@keyferry/core';
import { failCheck, type PhaseContext } from './check.ts';

/**
 * @param repairedName in the workspace; replaced
 * @returns the archive to import
 * @throws {KeyferryError} `parallel.check-failed`
 */
export async function foreseeArchive(
  context: PhaseContext,
  archive: ArchiveReceipt,
  repairedName: string,
): Promise<ArchiveReceipt> {
  const { engine, course, settings, phase } = context;
  const { archives, workspace } = engine.parallel;
  const { version } = await course.needed<{ readonly version: string }>('prepare', 'target');
  let chosen = archive;
  if (settings.repair) {
    await workspace.remove(repairedName);
    const repaired: RepairReceipt = await archives.repair(archive.file, workspace.path(repairedName));
    await course.keep(phase, 'repair', repaired);
    chosen = repaired.into;
  }
  const foresight: Foresight = await archives.foresee(chosen.file, version);
  await course.keep(phase, 'foresight', foresight);
  const judged = judgedFindings(foresight.findings, settings.losses, { inUse: phase === 'foresee' });
  const blocking = judged.filter(({ level }) => level === 'blocking');
  if (blocking.length > 0) {
    const named = blocking.map(({ code, count }) => `${code} (${count})`).join(', ');
    failCheck(context, `the import would lose what nobody accepted: ${named}`);
  }
  return chosen;
}
