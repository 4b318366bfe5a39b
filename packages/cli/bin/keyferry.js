#!/usr/bin/env node
// Runs the built command line; `npm run build` writes dist.
import '../dist/src/index.js';
