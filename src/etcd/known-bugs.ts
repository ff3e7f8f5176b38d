/** Versions of etcd that are known to damage data by themselves, so that whoever backs one up is told by name. */

interface KnownBug {
  readonly fits: (minor: string, patch: number) => boolean;
  /** In words, to follow "etcd 3.5.2 ". */
  readonly does: string;
}

// From etcd's change logs of 3.4 and 3.5, and its announcement of November 2022.
const knownBugs: readonly KnownBug[] = [
  {
    fits: (minor, patch) => minor === '3.5' && patch <= 2,
    does: 'can corrupt its data silently when it is killed (etcd issue 13766)',
  },
  {
    fits: (minor, patch) => minor === '3.5' && patch <= 5,
    does: 'can fall out of step with the other members when it crashes while it defragments (etcd issue 14685)',
  },
  {
    fits: (minor, patch) =>
      (minor === '3.4' && (patch === 20 || patch === 21)) || (minor === '3.5' && patch === 5),
    does: 'can give a new member other data than the rest where authentication is on (etcd issue 14648)',
  },
];

/** One warning for each known bug of a version, such as `3.5.2`; none for a version that cannot be read. */
export function bugsOf(version: string): string[] {
  const [, minor = '', patch = ''] = /^(\d+\.\d+)\.(\d+)/.exec(version) ?? [];
  if (patch === '') return [];
  return knownBugs
    .filter(({ fits }) => fits(minor, Number(patch)))
    .map(({ does }) => `etcd ${version} ${does}: upgrade it`);
}
