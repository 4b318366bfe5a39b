/** Goal: the memory spool keeps what the port promises. Method: the contract suite, with pages as asked for and small. */
import { spoolContract } from './contract/spool.ts';
import { MemoryScratch } from './memory-spool.ts';

spoolContract('memory', () => new MemoryScratch());
spoolContract('memory in small pages', () => new MemoryScratch({ pageKeysMax: 2 }));
