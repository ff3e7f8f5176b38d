/** What tests run as `granary`: the program as it lies in `src/`, or as it was built where `npm test` says so. */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** `GRANARY_ENTRY=dist-test/cli/main.js`: the built one starts in a third of the time, and is what people run. */
const { GRANARY_ENTRY = 'src/cli/main.ts' } = process.env;

/** Absolute. */
export const entry = resolve(fileURLToPath(new URL('../..', import.meta.url)), GRANARY_ENTRY);
