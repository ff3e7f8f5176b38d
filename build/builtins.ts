/**
 * Node's own modules, taken without `import`. An import of one reads all it exports, also what is made on first use:
 * `node:http` alone then loads an HTTP client of 800 kB for its WebSocket, which takes 50 ms of every start and 2 MiB.
 */
import { builtinModules, createRequire } from 'node:module';
import type { Plugin } from 'rolldown';

const require = createRequire(import.meta.url);
const mark = '\0node:';
/** What `node:http` makes on first use; nobody imports them, but whoever imports all of it (`* as`) would. */
const madeOnUse = ['WebSocket', 'CloseEvent', 'MessageEvent'];

/** @param apart files that an older Node reads, which has no `getBuiltinModule` */
export function builtins(apart: RegExp): Plugin {
  const known = new Set(builtinModules.map((name) => name.replace(/^node:/, '')));
  return {
    name: 'granary-builtins',
    resolveId(source, importer, { kind }) {
      const name = source.replace(/^node:/, '');
      if (kind !== 'import-statement' || !known.has(name)) return null;
      if (importer === undefined || apart.test(importer)) return null;
      // One for each file that imports it, so that it needs no chunk of its own.
      return { id: `${mark}${name}?${importer}`, moduleSideEffects: false };
    },
    load(id) {
      if (!id.startsWith(mark)) return null;
      return moduleOf(id.slice(mark.length, id.indexOf('?')));
    },
  };
}

/** Each export reads one property; those that nobody imports are left out. */
function moduleOf(name: string): string {
  const builtin = require(`node:${name}`) as Record<string, unknown>;
  const names = Object.keys(builtin).filter(
    (key) => /^[A-Za-z_$][\w$]*$/.test(key) && key !== 'default' && !madeOnUse.includes(key),
  );
  return [
    `const builtin = /* @__PURE__ */ process.getBuiltinModule(${JSON.stringify(`node:${name}`)});`,
    'export default builtin;',
    ...names.map((key) => `const _${key} = builtin.${key};\nexport { _${key} as ${key} };`),
  ].join('\n');
}
