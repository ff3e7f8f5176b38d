/** Options that say which member of which cluster a data directory is for, named as etcdutl and etcd name them. */

import { type Command, Option } from 'commander';
import { type MembershipFlags, membershipOf } from '../backup/data-directory/membership.ts';
import { type EtcdMinor, parseEtcdVersion } from '../backup/data-directory/version.ts';
import { type Bump, defaultQuota } from '../backup/preflight.ts';
import type { MemberOptions } from '../backup/restore.ts';
import { usage } from '../model/errors.ts';
import { parseSize } from '../model/units.ts';

export interface MemberFlags extends MembershipFlags {
  bumpRevision?: string;
  markCompacted?: boolean;
  bump: boolean;
  etcdVersion?: string;
  quotaBackendBytes?: string;
}

export function withMember(command: Command): Command {
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

/** @throws GranaryError `usage` */
export function memberOptions(flags: MemberFlags): MemberOptions {
  return {
    membership: membershipOf(flags),
    etcdVersion: readVersion(flags.etcdVersion),
    bump: readBump(flags),
    quota: readQuota(flags.quotaBackendBytes),
  };
}

function readBump({ bumpRevision, markCompacted, bump }: MemberFlags): Bump {
  if (bumpRevision === undefined) {
    if (markCompacted)
      throw usage(
        '--mark-compacted needs --bump-revision',
        'give both, or neither: Kubernetes gets both by itself',
      );
    return bump ? 'auto' : 'off';
  }
  if (!bump) throw usage('--bump-revision and --no-bump contradict each other', 'give one of them');
  if (/^[1-9]\d{0,14}$/.test(bumpRevision)) return Number(bumpRevision);
  throw usage(`\`${bumpRevision}\` is no number of revisions`, 'write a whole number, as 1000000000');
}

function readVersion(text: string | undefined): EtcdMinor | null {
  if (text === undefined) return null;
  const version = parseEtcdVersion(text);
  if (version !== undefined) return version;
  throw usage(`\`${text}\` is no version of etcd`, 'write it as 3.6');
}

function readQuota(text: string | undefined): number {
  if (text === undefined) return defaultQuota;
  const size = parseSize(text);
  if (size !== undefined && size > 0) return size;
  throw usage(`\`${text}\` is no size`, 'write bytes, or as 8Gi');
}
