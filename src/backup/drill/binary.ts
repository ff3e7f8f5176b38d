/** The etcd that a drill runs: where it is, what version, and whether that version may run on a backup's data. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { GranaryError } from '../../model/errors.ts';
import { findProgram } from '../../secrets/program.ts';
import type { CallOptions } from '../../store/store.ts';
import {
  compareEtcdVersions,
  type EtcdMinor,
  formatEtcdVersion,
  parseEtcdVersion,
} from '../data-directory/version.ts';

export interface EtcdBinary {
  readonly path: string;
  /** `3.5.33`. */
  readonly version: string;
  readonly minor: EtcdMinor;
}

/** It only prints its version. */
const versionMs = 15_000;
/** A member is upgraded by one minor version at a time; a single member of a restored cluster was tried with two. */
const mostMinorsNewer = 2;
/** The newest that a data directory was tried with. */
const newestTried: EtcdMinor = { major: 3, minor: 6 };

const hint = 'name an etcd of version 3.4, 3.5 or 3.6 with --etcd, or put one on the PATH';

/**
 * Finds etcd and asks it for its version.
 * @param path null: the `etcd` on the PATH
 * @throws GranaryError `etcd-unusable`; the signal's reason
 */
export async function findEtcd(
  path: string | null,
  env: NodeJS.ProcessEnv,
  { signal }: CallOptions,
): Promise<EtcdBinary> {
  const found = path ?? (await findProgram('etcd', env));
  if (found === null) throw new GranaryError('etcd-unusable', 'there is no etcd on the PATH', { hint });
  const { stdout } = await promisify(execFile)(found, ['--version'], {
    env: { ETCD_UNSUPPORTED_ARCH: env.ETCD_UNSUPPORTED_ARCH ?? '' },
    timeout: versionMs,
    killSignal: 'SIGKILL',
    maxBuffer: 64 * 1024,
    signal,
  }).catch((error: unknown) => {
    signal.throwIfAborted();
    throw new GranaryError('etcd-unusable', `${found} cannot be run: ${reasonOf(error)}`, {
      hint,
      cause: error,
      context: { path: found },
    });
  });
  const version = /^etcd Version: (\S+)$/m.exec(stdout)?.[1] ?? '';
  const minor = parseEtcdVersion(version);
  if (minor !== undefined) return { path: found, version, minor };
  throw new GranaryError('etcd-unusable', `${found} does not say that it is an etcd`, {
    hint,
    context: { path: found },
  });
}

function reasonOf(error: unknown): string {
  const { code, killed, signal } = error as NodeJS.ErrnoException & { killed?: boolean; signal?: string };
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES') return 'it may not be executed';
  if (killed) return `no answer to --version within ${versionMs / 1_000} s`;
  if (signal) return `it was ended by ${signal}`;
  return typeof code === 'number' ? `--version ended with code ${code}` : `${code ?? 'unknown error'}`;
}

/**
 * A newer etcd than was tried may fail on sound data, and a drill must not blame the data; only the cluster's own
 * version is always right. What is too old for the data is told by `targetVersion`.
 * @param source version of the server that the snapshot is of
 * @throws GranaryError `etcd-unusable`
 */
export function requireNotTooNew({ path, version, minor }: EtcdBinary, source: string): void {
  const from = parseEtcdVersion(source);
  if (from === undefined || compareEtcdVersions(minor, from) <= 0) return;
  const isFar = minor.major !== from.major || minor.minor - from.minor > mostMinorsNewer;
  if (!isFar && compareEtcdVersions(minor, newestTried) <= 0) return;
  throw new GranaryError(
    'etcd-unusable',
    `${path} is etcd ${version}, too new to judge a backup of etcd ${source} by`,
    { hint: `name an etcd ${formatEtcdVersion(from)} with --etcd`, context: { path, version } },
  );
}
