/** Options of `restore` that put keys into a running cluster; those of the connection are named as etcdctl's. */
import type { Command } from 'commander';
import { grouped } from './options.ts';

export interface KeysFlags {
  keys?: string;
  exact?: boolean;
  into?: string;
  onlyMissing?: boolean;
  includeLeased?: boolean;
  rate?: string;
  yes?: boolean;
  plannedAt?: string;
  atRevision?: string;
  cacert?: string;
  cert?: string;
  key?: string;
  user?: string;
  passwordFile?: string;
}

export function withKeysInto(command: Command): Command {
  return grouped(command, 'Keys into a cluster, with --into:', withKeysOptions);
}

function withKeysOptions(command: Command): Command {
  return command
    .option('--keys <prefix>', 'only the keys that begin with it, into a running cluster: with --into')
    .option(
      '--into <cluster>',
      'that cluster: its client URLs, or SEED/CLUSTER of the configuration; nothing is written without --yes',
    )
    .option('--yes', 'write what the plan says')
    .option('--exact', '--keys is one whole key, and not a prefix')
    .option('--only-missing', 'overwrite nothing')
    .option('--include-leased', 'also keys that had a lease; they get none, and stay for ever')
    .option('--at-revision <n>', 'as the keys were after this revision (default: the last)')
    .option(
      '--planned-at <n>',
      'overwrite nothing that was written after this revision there (default: after the start)',
    )
    .option('--rate <n>', 'keys written a second (default: 200)')
    .option('--cacert <file>', 'PEM of the authority that the members are signed by')
    .option('--cert <file>', 'PEM of the client certificate')
    .option('--key <file>', 'PEM of its key')
    .option('--user <name>', 'user of that etcd; the password is never on the command line')
    .option('--password-file <file>', 'its password (or ETCDCTL_PASSWORD)');
}

const flagNames = {
  ...{ keys: '--keys', into: '--into', yes: '--yes', exact: '--exact', onlyMissing: '--only-missing' },
  ...{ includeLeased: '--include-leased', atRevision: '--at-revision', plannedAt: '--planned-at' },
  ...{ rate: '--rate', cacert: '--cacert', cert: '--cert', key: '--key', user: '--user' },
  passwordFile: '--password-file',
} as const satisfies Record<keyof KeysFlags, string>;

/** Names of the flags that were given. */
export function givenKeysFlags(flags: KeysFlags): string[] {
  return Object.entries(flagNames).flatMap(([name, flag]) =>
    flags[name as keyof KeysFlags] === undefined ? [] : [flag],
  );
}
