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
  'projects-without-organization',
  'reserved-name',
  'scope',
  'second-repository',
  'two-defaults',
  'unknown-reference',
  // seeds
  'backup-off',
  'bad-endpoint',
  'deprecated-backup',
  'internal-only',
  'skipped',
  'tls-source',
  'tls-without-https',
  // destinations
  'alias-twice',
  'bad-bucket-name',
  'bad-certificate',
  'certificate-ends',
  'endpoint-without-path-style',
  'instance-role-with-credential',
  'overlapping-destinations',
  // credentials
  'credential-file-name',
  'credential-not-alone',
  'default-without-use',
  'half-a-pair',
  'missing-data',
  'plain-secret',
  'too-much-data',
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
  // the repository
  'approval-expired',
  'bad-notification',
  'open-secret',
] as const;

export type DiagnosticCode = (typeof diagnosticCodes)[number];
