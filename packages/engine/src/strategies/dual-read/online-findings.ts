/** Whether applications can take part, and are there: for the plan, and once more before anything is written. */
import { counted, finding, type Finding, type MigrationSpec } from '@keyferry/core';
import type { Engine } from '../../migration.ts';
import { withRetry } from '../../retry.ts';
import { inabilitiesOf, ruleObstacles } from './online.ts';

export async function onlineFindings(engine: Engine, spec: MigrationSpec): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const lacking = inabilitiesOf(engine, spec);
  if (lacking.length > 0) {
    const what = lacking.map(({ store, capability }) => `store ${store} cannot take ${capability}`);
    findings.push(
      finding('online.unable', {
        count: lacking.length,
        detail: what.join('; '),
        fix: 'choose other stores (keyferry adapters list says which can), or stop the writers and use strategy: offline',
      }),
    );
  }
  const obstacles = ruleObstacles(spec);
  if (obstacles.length > 0) {
    findings.push(
      finding('online.unable', {
        count: obstacles.length,
        detail: `applications use the same keys and values in both stores, but ${obstacles.join('; ')}`,
        fix: 'take that out of the migration, or use strategy: offline',
      }),
    );
  }
  if (engine.online === undefined || spec.online === undefined) return findings;
  const { place } = engine.online;
  if (spec.online.followedBy === 'time') return [...findings, byTime(place.where)];
  const { instancesMin } = spec.online;
  const registrations = await withRetry(engine, 'read registrations', () => place.registrations());
  const there = registrations.filter(({ value }) => value.goneAt === null).length;
  if (there < instancesMin) {
    findings.push(
      finding('online.too-few', {
        count: instancesMin - there,
        detail: `${counted(there, 'instance is', 'instances are')} registered at ${place.where}, and instances.min is ${instancesMin}`,
        fix: 'start the application with the client of keyferry at this switch; the first barrier waits for it',
      }),
    );
  }
  return findings;
}

/** What the client would have seen to, and the application has to (SPEC R113). */
function byTime(where: string): Finding {
  const duties = [
    'no instance writes the source any more',
    'reads look into the target first and then into the source, until the key is true',
    'nothing is deleted and nothing put with a TTL until then: what is gone from the target would be read from the source again, or be copied again',
    'what is compared and swapped is in the target already',
    'every instance has followed the key within requestLife',
  ];
  return finding('online.by-time', {
    count: duties.length,
    detail: `applications follow ${where} by themselves, so these rest on them: ${duties.join('; ')}. There is no way back to the source`,
    fix: "see that they do, and accept it:   --accept online.by-time   (keyferry's own client sees to all of it, and can go back)",
  });
}
