/** Options that say which member of which cluster a data directory is for, named as etcdutl and etcd name them. */

import { type Command, Option } from 'commander';
import type { MembershipFlags } from '../backup/data-directory/membership.ts';
import { grouped } from './options.ts';

export interface MemberFlags extends MembershipFlags {
  bumpRevision?: string;
  markCompacted?: boolean;
  bump: boolean;
  etcdVersion?: string;
  quotaBackendBytes?: string;
}

export function withMember(command: Command): Command {
  return grouped(command, 'The new cluster, with --data-dir:', withMemberOptions);
}

function withMemberOptions(command: Command): Command {
  return command
    .option('--name <name>', 'of this member (default: the only one of --initial-cluster, else `default`)')
    .option(
      '--initial-cluster <members>',
      'all members, as m1=https://10.0.0.1:2380,m2=… (default: this one)',
    )
    .option('--initial-cluster-token <token>', 'the same for all members (default: etcd-cluster)')
    .option('--initial-advertise-peer-urls <urls>', 'of this member (default: what --initial-cluster says)')
    .option('--bump-revision <n>', 'begin so far above the last revision, with all before it compacted')
    .option('--mark-compacted', 'always so with --bump-revision; taken because etcdutl wants it said')
    .addOption(new Option('--no-bump', 'leave revisions as they are, of Kubernetes too').default(true))
    .option('--etcd-version <x.y>', 'the etcd that is to run on it (default: that of the backup)')
    .option('--quota-backend-bytes <size>', 'as etcd will be started with, to compare sizes (default: 2Gi)');
}

/** Names of the flags that were given. */
export function givenFlags(flags: MemberFlags): string[] {
  const given = Object.entries({
    '--name': flags.name,
    '--initial-cluster': flags.initialCluster,
    '--initial-cluster-token': flags.initialClusterToken,
    '--initial-advertise-peer-urls': flags.initialAdvertisePeerUrls,
    '--bump-revision': flags.bumpRevision,
    '--mark-compacted': flags.markCompacted,
    '--no-bump': flags.bump ? undefined : true,
    '--etcd-version': flags.etcdVersion,
    '--quota-backend-bytes': flags.quotaBackendBytes,
  });
  return given.flatMap(([name, value]) => (value === undefined ? [] : [name]));
}
