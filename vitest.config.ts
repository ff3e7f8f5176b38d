import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/servers/global.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Two cores run the servers too: more workers than this only make them wait for each other.
    maxWorkers: 2,
  },
});
