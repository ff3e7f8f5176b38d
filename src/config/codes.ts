/**
 * Every code of a diagnostic that this folder gives. They are stable: people silence, count and look them up by it.
 * `docs/diagnostics.md` has a line for each; a test ties both, and another sees that each one is given somewhere.
 */
export const diagnosticCodes = [
  // files
  'file-not-utf8',
  'file-too-large',
  'file-unreadable',
  'nothing-found',
  'symlink-outside',
  // YAML
  'yaml-alias',
  'yaml-duplicate-key',
  'yaml-syntax',
  'yaml-too-deep',
  // one document by itself
  'bad-value',
  'duplicate-item',
  'missing-field',
  'not-a-mapping',
  'too-many-faults',
  'unknown-api-version',
  'unknown-field',
  'unknown-kind',
  'unknown-value',
  'wrong-type',
  // names and references
  'audience',
  'credential-type',
  'destination-not-for-seed',
  'duplicate-cluster',
  'duplicate-name',
  'reserved-name',
  'second-repository',
  'unknown-reference',
  // seeds
  'backup-off',
  'bad-endpoint',
  'skipped',
  'tls-source',
  'tls-without-https',
  // destinations
  'bad-certificate',
  'certificate-ends',
  'endpoint-without-path-style',
  'overlapping-destinations',
  // credentials
  'credential-file-name',
  'credential-not-alone',
  'half-a-pair',
  'missing-data',
  'plain-secret',
  'unknown-data',
  // policies
  'bad-recipient',
  'bad-schedule',
  'bad-time-zone',
  'empty-keep',
  'lone-recipient',
  'out-of-range',
  'policy-without-clusters',
  'too-many-copies',
] as const;

export type DiagnosticCode = (typeof diagnosticCodes)[number];
