/** Goal: the lock in memory keeps what the port promises. Method: the contract. */
import { targetLockContract } from './contract/target-lock.ts';
import { MemoryTargetLock } from './memory-target-lock.ts';

targetLockContract('memory', async () => {
  const lock = new MemoryTargetLock();
  return { lock, another: lock, close: async () => undefined };
});
