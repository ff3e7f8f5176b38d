/** What the tests run against, where it comes from, and at which version. */

export interface GoModuleTool {
  readonly kind: 'go';
  readonly version: string;
  readonly binaries: readonly string[];
  /** About how long a first build takes on two cores. */
  readonly buildSeconds: number;
  /**
   * `scratch`: from an empty module that requires these modules, because a `replace` line in the tool's own go.mod
   * forbids `go install`. `install`: `go install package@version`.
   */
  readonly build:
    | { readonly how: 'scratch'; readonly modules: readonly string[]; readonly packages: readonly string[] }
    | { readonly how: 'install'; readonly package: string; readonly goVersion: string };
}

export interface DebianTool {
  readonly kind: 'debian';
  readonly packages: readonly string[];
  readonly binaries: readonly string[];
  /** Shared libraries that are put beside the programs, for what a bare Debian lacks. */
  readonly libraries?: readonly string[];
  /**
   * `unpack`: the package is unpacked into the cache folder and not installed: it needs no root, and no service of
   * the package ever starts. `install`: apt-get install, for what belongs on a developer's machine anyway.
   */
  readonly how: 'unpack' | 'install';
  /** What the first line of `<binary> --version` must hold, where another version would not do. */
  readonly versionLine?: RegExp;
}

/** A package of npm, with all that it needs, in the cache folder: it is no dependency of the project. */
export interface NpmTool {
  readonly kind: 'npm';
  readonly package: string;
  /** Exactly this one. */
  readonly version: string;
  readonly binaries: readonly string[];
}

export type Tool = GoModuleTool | DebianTool | NpmTool;

const etcdModules = ['server', 'etcdctl', 'etcdutl', 'api', 'client', 'pkg'];

function etcd(version: string): GoModuleTool {
  return {
    kind: 'go',
    version,
    binaries: ['etcd', 'etcdctl', 'etcdutl'],
    buildSeconds: 60,
    build: {
      how: 'scratch',
      modules: etcdModules.map((part) => `go.etcd.io/etcd/${part}/v3@v${version}`),
      packages: ['server', 'etcdctl', 'etcdutl'].map((part) => `go.etcd.io/etcd/${part}/v3`),
    },
  };
}

export const catalogue = {
  'etcd-3.4': {
    kind: 'debian',
    packages: ['etcd-server', 'etcd-client'],
    binaries: ['etcd', 'etcdctl'],
    how: 'unpack',
    versionLine: /\b3\.4\.\d+/,
  },
  'etcd-3.5': etcd('3.5.33'),
  'etcd-3.6': etcd('3.6.14'),
  // The library that etcd keeps its data by, as a program: what it reads is what a file says.
  bbolt: {
    kind: 'go',
    version: '1.4.3',
    binaries: ['bbolt'],
    buildSeconds: 15,
    build: { how: 'install', package: 'go.etcd.io/bbolt/cmd/bbolt', goVersion: 'v1.4.3' },
  },
  minio: {
    kind: 'go',
    version: '2026-02-12',
    binaries: ['minio'],
    buildSeconds: 120,
    build: {
      how: 'install',
      package: 'github.com/minio/minio',
      goVersion: 'v0.0.0-20260212201848-7aac2a2c5b7c',
    },
  },
  versitygw: {
    kind: 'go',
    version: '1.8.0',
    binaries: ['versitygw'],
    buildSeconds: 60,
    build: {
      how: 'install',
      package: 'github.com/versity/versitygw/cmd/versitygw',
      goVersion: 'v1.8.0',
    },
  },
  'fake-gcs-server': {
    kind: 'go',
    version: '1.56.1',
    binaries: ['fake-gcs-server'],
    buildSeconds: 30,
    build: { how: 'install', package: 'github.com/fsouza/fake-gcs-server', goVersion: 'v1.56.1' },
  },
  // 3.37 wants a package that is not to be had.
  azurite: { kind: 'npm', package: 'azurite', version: '3.35.0', binaries: ['azurite-blob'] },
  sops: {
    kind: 'go',
    version: '3.13.3',
    binaries: ['sops'],
    buildSeconds: 90,
    build: { how: 'install', package: 'github.com/getsops/sops/v3/cmd/sops', goVersion: 'v3.13.3' },
  },
  rclone: {
    kind: 'go',
    version: '1.75.1',
    binaries: ['rclone'],
    buildSeconds: 120,
    build: { how: 'install', package: 'github.com/rclone/rclone', goVersion: 'v1.75.1' },
  },
  kustomize: {
    kind: 'go',
    version: '5.8.1',
    binaries: ['kustomize'],
    buildSeconds: 40,
    build: { how: 'install', package: 'sigs.k8s.io/kustomize/kustomize/v5', goVersion: 'v5.8.1' },
  },
  // Brings the API of Kubernetes up to 1.30 along, and validates as its API server does.
  'kubectl-validate': {
    kind: 'go',
    version: '0.0.4',
    binaries: ['kubectl-validate'],
    buildSeconds: 120,
    build: { how: 'install', package: 'sigs.k8s.io/kubectl-validate', goVersion: 'v0.0.4' },
  },
  systemd: { kind: 'debian', packages: ['systemd'], binaries: ['systemd-analyze'], how: 'install' },
  age: { kind: 'debian', packages: ['age'], binaries: ['age', 'age-keygen'], how: 'unpack' },
  // Only promtool is used: rules are checked, and no Prometheus runs.
  prometheus: { kind: 'debian', packages: ['prometheus'], binaries: ['promtool'], how: 'unpack' },
  zstd: { kind: 'debian', packages: ['zstd'], binaries: ['zstd'], how: 'install' },
  // What completes command lines in them.
  zsh: { kind: 'debian', packages: ['zsh'], binaries: ['zsh'], how: 'install' },
  fish: { kind: 'debian', packages: ['fish'], binaries: ['fish'], how: 'install' },
  git: { kind: 'debian', packages: ['git'], binaries: ['git'], how: 'install' },
  // Only its program: no service starts, and no host key of the machine is made or read.
  sshd: {
    kind: 'debian',
    packages: ['openssh-server', 'libwrap0', 'libnss-wrapper'],
    binaries: ['sshd'],
    libraries: ['libwrap.so.0', 'libnss_wrapper.so'],
    how: 'unpack',
  },
  ssh: {
    kind: 'debian',
    packages: ['openssh-client'],
    binaries: ['ssh-keygen', 'ssh', 'ssh-keyscan'],
    how: 'install',
  },
  gpg: { kind: 'debian', packages: ['gnupg'], binaries: ['gpg', 'gpgconf'], how: 'install' },
  chromium: { kind: 'debian', packages: ['chromium'], binaries: ['chromium'], how: 'install' },
  openssl: { kind: 'debian', packages: ['openssl'], binaries: ['openssl'], how: 'install' },
} as const satisfies Record<string, Tool>;

export type ToolName = keyof typeof catalogue;

export const toolNames = Object.keys(catalogue) as ToolName[];

/** What the test suite needs; only the benchmark compares with rclone. */
export const testTools: readonly ToolName[] = toolNames.filter((name) => name !== 'rclone');

export function isToolName(text: string): text is ToolName {
  return Object.hasOwn(catalogue, text);
}
