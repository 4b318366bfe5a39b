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
    remedy: 'put back what keyferry wrote, or take its part out, then run the command again',
  }),
} as const;
