/**
 * What CommonJS requires is what Node would give it. Of a package that has two forms the bundler would take that of
 * modules for both, and a module is no `module.exports`: protobufjs then found no class in `long`, took 64-bit numbers for
 * 53-bit ones, and ids of members lost their last digits.
 */
import { createRequire, isBuiltin } from 'node:module';
import type { Plugin } from 'rolldown';

export function required(): Plugin {
  return {
    name: 'granary-required',
    resolveId(source, importer, { kind }) {
      if (kind !== 'require-call' || importer === undefined || isBuiltin(source)) return null;
      try {
        return createRequire(importer).resolve(source);
      } catch {
        // Not installed, which some look for and do without: the bundler knows what becomes of that.
        return null;
      }
    },
  };
}
