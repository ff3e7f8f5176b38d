/** Reads a configuration, and prints how many files it has and what is to be said of them: `node load.ts FOLDER`. */
import { loadConfiguration } from '../../src/config/index.ts';

const { files, diagnostics } = await loadConfiguration(process.argv[2] ?? '');
console.log(files, diagnostics.length);
