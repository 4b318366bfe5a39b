/** Whose a lock is, when it was heard of last, and why it keeps nobody out any more, where that is so. */
import type { Status } from '@keyferry/engine';
import { holderForPeople } from '../../lock-holder.ts';
import type { ViewContext } from '../view.ts';
import { durationText } from './numbers.ts';

type Held = Pick<NonNullable<Status['lock']>, 'holder' | 'held' | 'heartbeatAgoMs'>;

export function heldText({ holder, held, heartbeatAgoMs }: Held, { holderIsGone }: ViewContext): string {
  const text = `${holderForPeople(holder)}, last heartbeat ${durationText(heartbeatAgoMs)} ago`;
  if (holderIsGone(holder)) return `${text}; that process has ended, so the next run takes the lock over`;
  return held ? text : `${text}; its lease has ended`;
}
