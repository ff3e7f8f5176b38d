/** What the options of `member-options.ts` say, read. */
import { membershipOf } from '../backup/data-directory/membership.ts';
import { type EtcdMinor, parseEtcdVersion } from '../backup/data-directory/version.ts';
import { type Bump, defaultQuota } from '../backup/preflight.ts';
import type { MemberOptions } from '../backup/restore.ts';
import { usage } from '../model/errors.ts';
import { parseSize } from '../model/units.ts';
import type { MemberFlags } from './member-options.ts';

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
