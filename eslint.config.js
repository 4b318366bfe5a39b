// ESLint holds one rule only: who may import whom. Everything else is oxlint's (.oxlintrc.json), which is faster.
// The same table stands once more in tools/tidy/src/boundaries.ts, so that neither can rot unseen.
import nx from '@nx/eslint-plugin';
import parser from '@typescript-eslint/parser';

const allowed = {
  'layer:core': [],
  'layer:engine': ['layer:core'],
  'layer:adapters': ['layer:core'],
  'layer:client': ['layer:core'],
  'layer:cli': ['layer:engine', 'layer:adapters', 'layer:lambda', 'layer:core'],
  'layer:lambda': ['layer:engine', 'layer:adapters', 'layer:core'],
  'layer:servers': ['*'],
  'layer:tools': ['*'],
};

const boundaries = (extra) => ({
  '@nx/enforce-module-boundaries': [
    'error',
    {
      allow: [],
      enforceBuildableLibDependency: false,
      depConstraints: Object.entries(allowed).map(([sourceTag, tags]) => ({
        sourceTag,
        onlyDependOnLibsWithTags: [...tags, ...extra],
      })),
    },
  ],
});

export default [
  { ignores: ['**/dist/**', '**/bundle/**', '**/node_modules/**', '.nx/**', '.cache/**', 'coverage/**'] },
  {
    files: ['**/*.{ts,js,mjs}'],
    languageOptions: { parser, parserOptions: { ecmaVersion: 'latest', sourceType: 'module' } },
    // Directives of oxlint name rules that do not exist here.
    linterOptions: { reportUnusedDisableDirectives: 'off' },
    plugins: { '@nx': nx },
    rules: boundaries([]),
  },
  {
    // Tests may start real servers.
    files: ['**/*.test.ts', '**/test/**/*.ts', '**/testing/**/*.ts'],
    rules: boundaries(['layer:servers']),
  },
];
