/** Failures of registries, of their load balancers and of strategy `parallel` between them; a part of codes.ts. */
import type { BalancerDetails } from './details.ts';
import { entry } from './entry.ts';

export const registryCodes = {
  'registry.archive-invalid': entry<{ file: string; why: string }>({
    retry: 'never',
    summary: '{file} is not an export of Apicurio Registry 2 that can be read: {why}',
    remedy: 'export again:   GET /apis/registry/v2/admin/export with the header Accept: application/zip',
  }),
  'registry.not-empty': entry<{ store: string; detail: string }>({
    retry: 'never',
    summary: 'registry {store} is not empty: {detail}; nothing was imported',
    remedy: 'give it an empty database, schema or topic, then run the command again',
  }),
  'registry.import-refused': entry<{ store: string; detail: string }>({
    retry: 'never',
    summary: 'registry {store} refused the archive as a whole: {detail}',
    remedy: 'see what the archive holds against it:   keyferry inspect ARCHIVE   and the log of the registry',
  }),
  'registry.content-held': entry<{ store: string; count: number; detail: string }>({
    retry: 'never',
    summary:
      'registry {store} goes on holding {count} contents that 2.x deleted and made anew under other ids: {detail}; it takes one content once',
    remedy: 'give 3.x an empty database, schema or topic, then plan again:   keyferry plan MIGRATION',
  }),
  'balancer.unreachable': entry<BalancerDetails>({
    retry: 'backoff',
    summary: 'load balancer {balancer} cannot be reached: {detail}',
    remedy: 'check its url, its socket and its process, then run the command again',
  }),
  'balancer.refused': entry<BalancerDetails>({
    retry: 'never',
    summary: 'load balancer {balancer} does not take the configuration: {detail}; the one before goes on serving',
    remedy: 'mend it, then run the command again; traffic is where it was',
  }),
  'balancer.changed': entry<BalancerDetails>({
    retry: 'never',
    summary:
      'the configuration of load balancer {balancer} was changed by somebody else: {detail}; nothing was written over',
    remedy:
      'hold both against each other, copy the one that keyferry wrote over the other, then run the command again; a change of yours belongs behind the migration',
  }),
  'rehearsal.server-failed': entry<{ server: string; detail: string }>({
    retry: 'never',
    summary: 'a throw-away server of the rehearsal did not start: {server}: {detail}',
    remedy:
      'mend what it says; in the place of a registry one that you started is taken, on this machine and empty, by its URL; of a load balancer, `program` of the configuration is run',
  }),
  'parallel.check-failed': entry<{ migration: string; phase: string; what: string }>({
    retry: 'never',
    summary: 'phase {phase} of {migration} is not passed: {what}',
    remedy: 'see where it stands, what it left as evidence and the way back:   keyferry status {migration}',
  }),
  'parallel.undone': entry<{ migration: string; phase: string; why: string; frozenMs: number }>({
    retry: 'never',
    summary:
      'phase {phase} of {migration} failed, and the freeze was undone: {why}; writes were refused for {frozenMs} ms and go to 2.x again, nothing was lost',
    remedy: 'solve it, give 3.x an empty database, schema or topic, then plan again:   keyferry plan {migration}',
  }),
  'parallel.unconfirmed': entry<{
    migration: string;
    phase: string;
    checks: string;
    meanwhile: string;
    command: string;
  }>({
    retry: 'never',
    summary:
      '{migration} waits before phase {phase}, which a person has to confirm: it is passed once {checks}; {meanwhile}',
    remedy: 'go on:   {command} --confirm-phase {phase}\nor go back:      keyferry rollback {migration}',
  }),
  'parallel.not-soaked': entry<{ migration: string; why: string }>({
    retry: 'never',
    summary: '{migration} cannot be decommissioned: {why}',
    remedy: 'take a further sample:   keyferry apply {migration}\nor go back:      keyferry rollback {migration}',
  }),
  'parallel.writes-stranded': entry<{ migration: string; count: number; names: readonly string[]; changed: string }>({
    retry: 'never',
    summary: 'going back would lose {count} writes that 3.x accepted and 2.x cannot take; {changed}',
    remedy: 'carry them by hand, or lose them knowingly:   keyferry rollback {migration} --accept registry.writes-lost',
  }),
  'parallel.target-silent': entry<{ migration: string; detail: string; changed: string }>({
    retry: 'never',
    summary: '3.x cannot be asked which writes it accepted since the switch: {detail}; {changed}',
    remedy: 'start it again, or lose them knowingly:   keyferry rollback {migration} --accept registry.writes-lost',
  }),
} as const;
