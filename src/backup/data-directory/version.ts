/** Versions of etcd, as far as what a data directory holds depends on them: 3.4, 3.5, 3.6. */

export interface EtcdMinor {
  readonly major: number;
  readonly minor: number;
}

/** `3.6`, `3.6.14`, `v3.6.14-rc.1`; undefined for other text. */
export function parseEtcdVersion(text: string): EtcdMinor | undefined {
  const [, major, minor] = /^v?(\d{1,3})\.(\d{1,3})(?:\.\d{1,5}(?:[-+.].*)?)?$/.exec(text) ?? [];
  return major === undefined || minor === undefined
    ? undefined
    : { major: Number(major), minor: Number(minor) };
}

/** Negative where `a` is older. */
export function compareEtcdVersions(a: EtcdMinor, b: EtcdMinor): number {
  return a.major - b.major || a.minor - b.minor;
}

export function formatEtcdVersion({ major, minor }: EtcdMinor): string {
  return `${major}.${minor}`;
}

/** From 3.5 on the database itself says who votes, and in which term its index is. */
export function knowsConfState(version: EtcdMinor): boolean {
  return compareEtcdVersions(version, { major: 3, minor: 5 }) >= 0;
}
