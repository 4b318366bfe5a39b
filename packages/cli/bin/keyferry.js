#!/usr/bin/env node
// Runs the built command line; `npm run build` writes the bundle. Kept to syntax that an old Node can read, so that it can
// say what is wrong with it.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 24 || (major === 24 && minor < 15)) {
  process.stderr.write(`keyferry needs Node 24.15 or later; this is ${process.versions.node}\n`);
  process.exit(1);
}
await import('../bundle/keyferry.mjs');
