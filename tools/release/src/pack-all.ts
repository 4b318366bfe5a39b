/** `npm run pack [FOLDER]`: the tarballs of the packages that ship, in dist/packages. Build first. */
import { join, relative, resolve } from 'node:path';
import { packAll } from './pack.ts';

const root = join(import.meta.dirname, '../../..');
const [folder = 'dist/packages'] = process.argv.slice(2);
for (const tarball of await packAll(root, resolve(root, folder))) process.stdout.write(`${relative(root, tarball)}\n`);
