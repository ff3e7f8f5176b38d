/** What the rest of Granary needs of the configuration. JSON of other sources is checked by `schemas.ts`. */
export { type ConfigurationFile, type FoundFiles, readConfigurationFiles, readNamedFile } from './files.ts';
export { configurationOf, diagnoseFile, type LoadOptions, loadConfiguration } from './load.ts';
export { migrateBackups, overlaid, seedsWithBackup } from './migrate/backup.ts';
export { isOurs, migrateOthers } from './migrate/others.ts';
export type { MigratedFile, Migration } from './migrate/result.ts';
export { parseFile } from './parse.ts';
export { childPointer } from './pointer.ts';
export { closureOf, namedDestinations, policyMatches, resolveAssignments } from './resolve.ts';
export { readSource, type Source } from './source.ts';
