/**
 * The schemas as functions, written out: making them takes ajv a tenth of a second of each start. They stand in the
 * program in place of `src/config/validators.ts`, which makes the same functions when it is asked.
 */
import { readdirSync } from 'node:fs';
import standalone from 'ajv/dist/standalone/index.js';
import type { Plugin } from 'rolldown';
import { readSchema } from '../src/config/schema-files.ts';
import { compilerFor } from '../src/config/validators.ts';

const replaced = /\/src\/config\/validators\.ts$/;
const mark = 'granary-schema:';
const ending = '.schema.json';

/** One file for each, to be read when it is needed: together they are a megabyte. */
export const schemaEntries = Object.fromEntries(
  readdirSync(new URL('../schemas/', import.meta.url))
    .filter((file) => file.endsWith(ending))
    .map((file) => file.slice(0, -ending.length))
    .map((name) => [`schema-${name}`, `${mark}${name}`]),
);

/** Goes with `schemaEntries`, which lie beside what asks for them. */
export function validators(): Plugin {
  return {
    name: 'granary-validators',
    resolveId: (source) => (source.startsWith(mark) ? `\0${source}` : null),
    load(id) {
      if (replaced.test(id)) return { code: table, moduleType: 'js' };
      if (id.startsWith(`\0${mark}`)) return { code: written(id.slice(mark.length + 1)), moduleType: 'js' };
      return null;
    },
  };
}

const table = `import { createRequire } from 'node:module';
const load = createRequire(import.meta.url);
export function validatorOf(name) {
  return load('./schema-' + name + '.js').default;
}`;

/** As CommonJS. */
function written(name: string): string {
  const compiler = compilerFor(name, { source: true, optimize: true });
  return standalone.default(compiler, compiler.compile(readSchema(name)));
}
