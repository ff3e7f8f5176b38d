/** What the rest of Granary needs of the configuration. JSON of other sources is checked by `schemas.ts`. */
export { readNamedFile } from './files.ts';
export { diagnoseFile, type LoadOptions, loadConfiguration } from './load.ts';
export { closureOf, namedDestinations, policyMatches, resolveAssignments } from './resolve.ts';
