/** What each of the engine's messages says to people: in warnings, event streams and log files. */
import { phaseFacts, scannedOf, type Message, type MessageData } from '@keyferry/core';
import { keyText } from './layout/keys.ts';
import { heldBackBy, limitsText } from './layout/limits.ts';
import { bytesText, counted, countText, durationText } from './layout/numbers.ts';
import { missingText } from './online/instances.ts';
import { backlogText, lagText, tailCountsText } from './replicate/wording.ts';
import { unrestorableText } from './rollback/index.ts';

const outcomeWords: Readonly<Record<MessageData['key.settled']['outcome'], string>> = {
  written: 'written',
  overwritten: 'overwritten',
  equal: 'there already, and equal',
  kept: 'differs in the target, and is kept',
  changed: 'not written over: it is not what was planned',
  tombstoned: 'deleted in the target since, and left so',
  deadLetters: 'a dead letter',
  notCarried: 'not carried',
  deleted: 'deleted',
  deletesGone: 'to be deleted, and gone already',
  deletesChanged: 'not deleted: it is not what was planned',
  removed: 'removed',
  restored: 'put back',
  notRestored: 'not put back: somebody changed it since',
  expired: 'not put back: its time is over',
};

export function messageText(message: Message): string {
  switch (message.code) {
    case 'image.sorting':
      return `sorted ${counted(message.data.sourceKeys, 'source key')} into the order of the target`;
    case 'plan.scanning':
      return `read ${counted(message.data.sourceKeys, 'source key')} and ${counted(message.data.targetKeys, 'target key')}`;
    case 'backup.taken': {
      const { side, what, path, bytes } = message.data;
      return `made a ${what} of the ${side} before anything is written: ${path}, ${bytesText(bytes)}`;
    }
    case 'apply.checking':
      return `checked ${countText(message.data.chunksDone)} of ${counted(message.data.chunksTotal, 'chunk')} against the plan`;
    case 'apply.started': {
      const { plan, run, attempt, chunksDone, chunksTotal, resumed } = message.data;
      const how = resumed ? `goes on after ${countText(chunksDone)} of` : 'starts with';
      return `run ${run}, attempt ${attempt} of plan ${plan}, ${how} ${counted(chunksTotal, 'chunk')}`;
    }
    case 'turn.waiting':
      return `waiting for ${message.data.holder}, who is at work on it (${message.data.command})`;
    case 'apply.ended': {
      const { outcome, elapsedMs, migrated, failed } = message.data;
      const how = outcome === 'done' ? 'migrated' : 'migrated, not as planned';
      const records = `${counted(migrated, 'record')} migrated, ${counted(failed, 'record')} failed`;
      return `${how}, took ${durationText(elapsedMs)}, ${records}`;
    }
    case 'apply.already-done':
      return `already done by ${message.data.by} at ${message.data.at}`;
    case 'backfill.progress': {
      const { counts, total, pace } = message.data;
      const done = `${countText(scannedOf(counts))} of ${countText(total)} dealt with`;
      return [`${done}, ${countText(counts.written)} written`, ...heldBackBy(pace)].join(', ');
    }
    case 'run.throttled':
      return `${message.data.by} has set other limits: ${limitsText(message.data.limits)}`;
    case 'run.unthrottled':
      return `the limits are those of the configuration again: ${limitsText(message.data.limits)}`;
    case 'run.stopping':
      return `${message.data.why}: finishing the writes in flight, then stopping at a checkpoint`;
    case 'letters.progress': {
      const { tried } = message.data;
      return `tried ${counted(scannedOf(tried), 'dead letter')} again, ${countText(tried.deadLetters)} still dead`;
    }
    case 'chunk.claimed':
      return `${message.data.worker} works on chunk ${message.data.chunk}`;
    case 'chunk.done':
      return `chunk ${message.data.chunk} is done, ${counted(message.data.counts.written, 'key')} written`;
    case 'chunk.lost':
      return `${message.data.worker} lost chunk ${message.data.chunk} to another worker, where it goes on`;
    case 'chunk.moved':
      return `the source changed under chunk ${message.data.chunk} while it was copied`;
    case 'key.settled':
      return `${keyText(message.data.key)}: ${outcomeWords[message.data.outcome]}`;
    case 'store.retrying': {
      const { what, code, tries, waitMs } = message.data;
      return `${what} failed (${code}); try ${countText(tries + 1)} in ${durationText(waitMs)}`;
    }
    case 'verify.progress':
      return `compared ${counted(message.data.keys, 'key')}`;
    case 'rollback.unrestorable':
      return unrestorableText(message.data.count);
    case 'history.not-kept':
      return `${message.data.type} could not be kept in the history (${message.data.code}); what was done stands`;
    case 'tail.progress': {
      const { tail, counts, lag } = message.data;
      return `${tail} tail: ${tailCountsText(counts)}, ${lagText(lag)}`;
    }
    case 'tail.caught-up':
      return `the ${message.data.tail} tail has caught up, at position ${message.data.position}`;
    case 'tail.backlog':
      return `the store keeps ${backlogText(message.data)} for the ${message.data.tail} tail`;
    case 'feed.not-ended': {
      const { store, code, why } = message.data;
      return (
        `store ${store} still has what it kept to tell its changes, which grows until it is removed (${code}: ${why}); everything else is done. ` +
        `By hand, in PostgreSQL: SELECT pg_drop_replication_slot('keyferry_…') and DROP PUBLICATION keyferry_…, ` +
        `or DROP FUNCTION keyferry.keyferry_…_0() CASCADE and DROP TABLE keyferry.keyferry_…`
      );
    }
    case 'tail.lost':
      return `the ${message.data.tail} tail lost its position: ${message.data.why}; both sides are compared instead`;
    case 'tail.reconciled': {
      const { puts, deletes } = message.data;
      return `compared both sides in place of the changes that were lost: ${counted(puts, 'put')}, ${counted(deletes, 'delete')}`;
    }
    case 'tail.generation': {
      const { number, records, position } = message.data;
      return `generation ${countText(number)}: ${counted(records, 'record')} equal on both sides, up to position ${position}`;
    }
    case 'cutover.step':
      return `next: ${message.data.step}`;
    case 'cutover.held':
      return `writes are held, for ${durationText(message.data.pauseMaxMs)} at the most`;
    case 'cutover.calling':
      return `not held yet; waiting for a sign of life of ${message.data.instances.join(', ')}`;
    case 'cutover.acknowledged':
      return `every instance acknowledged that writes are held, after ${durationText(message.data.afterMs)}`;
    case 'cutover.ended': {
      const { outcome, heldMs, why } = message.data;
      return outcome === 'flipped'
        ? `writes go on in the other store; they were held for ${durationText(heldMs)}`
        : `undone (${why ?? ''}): writes go on as before, after ${durationText(heldMs)}`;
    }
    case 'phase.begun':
      return `phase ${message.data.phase}${message.data.again ? ', once more' : ''}: passed once ${phaseFacts[message.data.phase].checks}`;
    case 'phase.passed':
      return `phase ${message.data.phase} passed after ${durationText(message.data.tookMs)}`;
    case 'phase.undoing':
      return `phase ${message.data.phase} failed (${message.data.why}); the freeze is being undone`;
    case 'back.step':
      return `on the way back: ${message.data.step}`;
    case 'soak.sampled': {
      const { sample, breaches, leftMs } = message.data;
      const seen = `${counted(sample.requests, 'request')}, ${countText(sample.errors5xx)} answered 5xx`;
      const left = leftMs === 0 ? 'soaked' : `${durationText(leftMs)} left`;
      return [seen, ...breaches, left].join('; ');
    }
    case 'rollback.progress': {
      const { removed, restored, changed, notRestored } = message.data;
      const back = restored > 0 ? `, put ${countText(restored)} back` : '';
      return `removed ${counted(removed, 'key')}${back}, left ${countText(changed + notRestored)} that somebody changed`;
    }
    case 'mode.announced': {
      const { mode, epoch, why } = message.data;
      return `${why === 'given-up' ? 'went back to' : 'announced'} the mode ${mode} (epoch ${epoch})`;
    }
    case 'barrier.waiting': {
      const { mode, acknowledged, missing, short } = message.data;
      return `waiting for instances to acknowledge ${mode}: ${countText(acknowledged)} did, ${missingText(missing, short)}`;
    }
    case 'barrier.held':
      return `every instance acknowledged ${message.data.mode}, after ${durationText(message.data.waitedMs)}`;
    case 'source.strays': {
      const { keys, total } = message.data;
      const named = keys.map((key) => keyText(key)).join(', ');
      return `${counted(total, 'key')} of the source written after it was frozen, by somebody who does not follow the switch: ${named}`;
    }
    case 'drain.progress': {
      const { put, deleted } = message.data;
      return `brought back to the source: ${counted(put, 'write')}, ${counted(deleted, 'delete')}`;
    }
  }
}
