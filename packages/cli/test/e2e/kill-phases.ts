/** The phases of an offline migration into Consul, each by a request that belongs to it and to no other. */
import type { AskedRequest } from './held-answers.ts';

export interface KillPhase {
  readonly phase: string;
  readonly command: 'apply' | 'finalize';
  /** Whether the process is to die at this request, which was done and not answered. A new one for each run. */
  readonly at: () => (asked: AskedRequest) => boolean;
}

const recordPut = /"Verb":"cas","Key":"app\//g;
const putsIn = (body: string): number => body.match(recordPut)?.length ?? 0;
const lists = (line: string): boolean => line.startsWith('GET /v1/kv/app/') && line.includes('recurse');

/** @param puts records that the whole backfill puts below `app/` */
export function killPhases(puts: number): readonly KillPhase[] {
  return [
    {
      phase: 'has the lock and has done nothing yet',
      command: 'apply',
      at: () => (asked) => asked.line.includes('/_keyferry/move/lock?acquire='),
    },
    {
      phase: 'cleans what an earlier attempt left',
      command: 'apply',
      at: () => (asked) => asked.body.includes('"delete-cas","Key":"app/'),
    },
    {
      phase: 'is in the middle of the backfill',
      command: 'apply',
      at: () => {
        let seen = 0;
        return ({ body }) => {
          seen += putsIn(body);
          return putsIn(body) > 0 && seen > puts / 2;
        };
      },
    },
    {
      phase: 'verifies',
      command: 'apply',
      at: () => {
        let seen = 0;
        return ({ line, body }) => {
          seen += putsIn(body);
          return seen >= puts && lists(line);
        };
      },
    },
    { phase: 'proves once more before the end', command: 'finalize', at: () => (asked) => lists(asked.line) },
    {
      phase: 'has written the done marker',
      command: 'finalize',
      at: () => (asked) => asked.body.includes('"set","Key":"_keyferry/move/done"'),
    },
  ];
}
