/**
 * The program in one piece: `src/` and the libraries it uses, without what nobody calls. A start then reads a few files
 * instead of hundreds, and the memory of an agent holds no library text that it never runs.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type OutputChunk, rolldown } from 'rolldown';
import { builtins } from './builtins.ts';
import { required } from './required.ts';
import { schemaEntries, validators } from './validators.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Native code is not bundled: npm installs it, for the machine at hand. */
export const external = ['@node-rs/crc32'];

/** What the program starts by name (`new Worker`): each must lie beside what starts it. */
export const threads = {
  worker: 'src/bolt/worker.ts',
  'key-worker': 'src/bolt/key-worker.ts',
  'opener-thread': 'src/backup/opener-thread.ts',
};
const program = { main: 'src/cli/main.ts', ...threads };

/** How Node is started for Granary, in the package as in the image: memory before speed (docs/benchmarks.md). */
export const nodeFlags = ['--max-semi-space-size=4', '--no-sparkplug'];
/** The C library gives memory back sooner, and does not keep some for each thread. */
export const nodeEnvironment = { MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '131072' };

const variables = Object.entries(nodeEnvironment).map(([name, value]) => `${name}=\${${name}-${value}}`);
/**
 * `npm` runs this file as `granary`. A shell, as not every `env` takes options for what it starts; to Node the second
 * line is a string and a comment.
 */
const start = `#!/bin/sh
":" //; ${variables.join(' ')} exec node ${nodeFlags.join(' ')} "$0" "$@"
`;

export interface Bundle {
  /** With their names below `dist/`. */
  readonly chunks: readonly { readonly fileName: string; readonly code: string }[];
  /** The files that they are made of, absolute. */
  readonly modules: readonly string[];
  /** Packages that are not built in and that it loads. */
  readonly needs: readonly string[];
}

/**
 * Builds the program in memory. All files lie in `cli/`, two levels below the package's root, as those of `src/` do:
 * they look for schemas, package.json and threads from where they are.
 * @param entries what is started by name, below the repository's root; default: all of the program
 * @throws Error where the bundler warns of anything
 */
export async function bundle(entries: Readonly<Record<string, string>> = program): Promise<Bundle> {
  const warnings: string[] = [];
  await using build = await rolldown({
    cwd: root,
    platform: 'node',
    input: { ...entries, ...schemaEntries },
    external,
    plugins: [builtins(/\/src\/cli\/main\.ts$/), validators(), required()],
    treeshake: { propertyReadSideEffects: false },
    // Modules rather than CommonJS where a package has both: only of those can be left out what nobody calls.
    resolve: { mainFields: ['module', 'main'], conditionNames: ['module', 'node', 'import', 'default'] },
    onLog: (level, { code, message }) => {
      if (level === 'warn') warnings.push(`${code ?? ''} ${message}`);
    },
  });
  const { output } = await build.generate({
    format: 'esm',
    entryFileNames: 'cli/[name].js',
    chunkFileNames: 'cli/[name]-[hash].js',
    // Names stay, for stacks and for errors that are told apart by the name of their class.
    minify: {
      compress: true,
      mangle: { keepNames: { function: true, class: true } },
      codegen: { removeWhitespace: true },
    },
    comments: false,
  });
  if (warnings.length > 0) throw new Error(`the bundler warns:\n${warnings.join('\n')}`);
  const chunks = output.filter((one): one is OutputChunk => one.type === 'chunk');
  const names = new Set(output.map(({ fileName }) => fileName));
  const imports = new Set(chunks.flatMap((chunk) => [...chunk.imports, ...chunk.dynamicImports]));
  return {
    chunks: chunks.map(({ fileName, code }) => ({
      fileName,
      code: inAscii(fileName === 'cli/main.js' ? code.replace(/^#!.*\n/, start) : code),
    })),
    modules: [...new Set(chunks.flatMap(({ moduleIds }) => moduleIds))].filter((id) => id.startsWith('/')),
    needs: [...imports].filter((one) => !names.has(one) && !isBuiltin(one)).toSorted(),
  };
}

/** Puts a bundle into a folder: its files lie in `cli/` there. */
export function writeChunks(folder: string, chunks: Bundle['chunks']): void {
  mkdirSync(join(folder, 'cli'), { recursive: true });
  for (const { fileName, code } of chunks) writeFileSync(join(folder, fileName), code);
}

/**
 * V8 keeps the text of all code. One letter beyond Latin-1 doubles what a file takes: two bytes for each of its letters.
 * In strings, patterns and names an escape means the same.
 */
function inAscii(code: string): string {
  if (/\braw`[^`]*[^\0-\x7f]/.test(code)) throw new Error('String.raw would see the escapes');
  return code.replaceAll(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
