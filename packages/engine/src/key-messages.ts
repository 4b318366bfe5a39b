/** Messages for single keys, which are made only for a host that wants them: a run has as many as it has keys. */
import { keyToJson, type Host, type Key, type MessageData } from '@keyferry/core';

type Outcome = MessageData['key.settled']['outcome'];

/** Called behind the write, so that no key is told of that may still change its outcome. */
export function tellKeys(host: Host, settled: Iterable<readonly [Key, Outcome]>): void {
  if (host.wantsKeys !== true) return;
  for (const [key, outcome] of settled) host.emit({ code: 'key.settled', data: { key: keyToJson(key), outcome } });
}
