/** The entry of the command line. */
import { main } from './main.ts';
import { growYoung } from './heap-generations.ts';

growYoung();
await main(process.argv.slice(2));
