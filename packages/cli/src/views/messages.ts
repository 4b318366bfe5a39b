/** What each of the engine's messages says to people: in warnings, event streams and log files. */
import { scannedOf, type Message } from '@keyferry/core';
import { counted, countText, durationText } from './layout/numbers.ts';

export function messageText(message: Message): string {
  switch (message.code) {
    case 'image.sorting':
      return `sorted ${counted(message.data.sourceKeys, 'source key')} into the order of the target`;
    case 'plan.scanning':
      return `read ${counted(message.data.sourceKeys, 'source key')} and ${counted(message.data.targetKeys, 'target key')}`;
    case 'apply.checking':
      return `checked ${countText(message.data.chunksDone)} of ${counted(message.data.chunksTotal, 'chunk')} against the plan`;
    case 'apply.started': {
      const { plan, run, attempt, chunksDone, chunksTotal, resumed } = message.data;
      const how = resumed ? `goes on after ${countText(chunksDone)} of` : 'starts with';
      return `run ${run}, attempt ${attempt} of plan ${plan}, ${how} ${counted(chunksTotal, 'chunk')}`;
    }
    case 'backfill.progress': {
      const { counts, total } = message.data;
      return `${countText(scannedOf(counts))} of ${countText(total)} dealt with, ${countText(counts.written)} written`;
    }
    case 'chunk.claimed':
      return `${message.data.worker} works on chunk ${message.data.chunk}`;
    case 'chunk.done':
      return `chunk ${message.data.chunk} is done, ${counted(message.data.counts.written, 'key')} written`;
    case 'chunk.lost':
      return `${message.data.worker} lost chunk ${message.data.chunk} to another worker, where it goes on`;
    case 'chunk.moved':
      return `the source changed under chunk ${message.data.chunk} while it was copied`;
    case 'store.retrying': {
      const { what, code, tries, waitMs } = message.data;
      return `${what} failed (${code}); try ${countText(tries + 1)} in ${durationText(waitMs)}`;
    }
    case 'verify.progress':
      return `compared ${counted(message.data.keys, 'key')}`;
    case 'rollback.progress':
      return `removed ${counted(message.data.removed, 'key')}, left ${countText(message.data.changed)} that somebody changed`;
  }
}
