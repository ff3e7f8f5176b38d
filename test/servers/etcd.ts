/** Real etcd servers of three minor versions, each with loopback ports and a data folder of its own. */
import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Certificates, makeCertificates } from './certificates.ts';
import { freePorts } from './ports.ts';
import { type ServerProcess, StartFailure, startProcess } from './process.ts';
import { type TempFolder, tempFolder } from './temp.ts';
import { requireTool, type ToolName, tool } from './tools.ts';

export type EtcdVersion = '3.4' | '3.5' | '3.6';
export const etcdVersions: readonly EtcdVersion[] = ['3.4', '3.5', '3.6'];

export interface EtcdOptions {
  readonly version: EtcdVersion;
  readonly members?: 1 | 3;
  /** Server certificates; with `clientCertAuth` clients need one too (`certificates.client`, user `root`). */
  readonly tls?: boolean;
  readonly clientCertAuth?: boolean;
  /** Turns authentication on, with user `root` and this password. */
  readonly auth?: { readonly password: string };
  readonly extraArgs?: readonly string[];
  /** For a single member only: a folder of the caller's, which stays. */
  readonly dataDir?: string;
  /** Of a single member: the name that its data was written for. Default `m1`. */
  readonly name?: string;
  /** Members speak TLS among themselves too, each with a certificate; only with `tls`. */
  readonly peerTls?: boolean;
  /** Called before the members start, to put data where each will look for it. */
  readonly prepare?: (cluster: PlannedCluster) => Promise<void>;
}

/** What the members will be started with. */
export interface PlannedCluster {
  readonly initialCluster: string;
  readonly token: string;
  readonly members: readonly { readonly name: string; readonly peerUrl: string; readonly dataDir: string }[];
}

export interface EtcdMember {
  readonly name: string;
  /** Client URL. */
  readonly endpoint: string;
  readonly peerUrl: string;
  /** Plain http, also with TLS: `/metrics` and `/health`. */
  readonly metricsUrl: string;
  readonly dataDir: string;
  readonly pid: number;
  readonly running: boolean;
  log(): string;
  kill(signal: NodeJS.Signals): boolean;
  stop(): Promise<void>;
  /** Starts it again on the same data and ports. */
  start(): Promise<void>;
}

export interface EtcdServer extends AsyncDisposable {
  readonly version: EtcdVersion;
  readonly members: readonly EtcdMember[];
  /** Client URLs of all members. */
  readonly endpoints: string[];
  readonly certificates: Certificates | undefined;
  readonly auth: { readonly username: 'root'; readonly password: string } | undefined;
  /** Of the first member. */
  readonly pid: number;
  readonly dataDir: string;
  /** etcdctl of the same version against all members, with certificates and password. Gives its stdout. */
  etcdctl(...args: string[]): Promise<string>;
  /** etcdutl of the same version; for 3.4, which has none, the same words to etcdctl. */
  etcdutl(...args: string[]): Promise<string>;
  /** A signal to every member. */
  kill(signal: NodeJS.Signals): void;
  /** Ends all members and removes their data, but not a `dataDir` of the caller's. */
  stop(): Promise<void>;
}

const portAttempts = 5;

/** Starts a cluster and returns when it has a leader and answers. */
export async function startEtcd(options: EtcdOptions): Promise<EtcdServer> {
  if ((options.dataDir ?? options.name) !== undefined && (options.members ?? 1) !== 1) {
    throw new Error('startEtcd: a name or a data folder of the caller goes with a single member only');
  }
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(options);
    } catch (error) {
      if (!(error instanceof StartFailure && error.portTaken) || attempt === portAttempts) throw error;
    }
  }
}

export type EtcdFromOptions = Omit<EtcdOptions, 'version' | 'members' | 'dataDir'>;

/**
 * Starts a single member on data that is there already: a restored data folder, or one of a server stopped before.
 * The folder stays. What the data says of members and cluster id holds; the addresses in it need not be right.
 */
export async function startEtcdFrom(
  dataDir: string,
  version: EtcdVersion,
  options: EtcdFromOptions = {},
): Promise<EtcdServer> {
  return startEtcd({ ...options, version, dataDir });
}

async function startOnce(options: EtcdOptions): Promise<EtcdServer> {
  const folder = tempFolder('etcd');
  const count = options.members ?? 1;
  const ports = await freePorts(count * 3);
  const certificates = options.tls ? makeCertificates(folder.path) : undefined;
  const scheme = certificates === undefined ? 'http' : 'https';
  const token = folder.path;
  const plans = Array.from({ length: count }, (_, index) => {
    const [client = 0, peer = 0, metrics = 0] = ports.slice(index * 3, index * 3 + 3);
    const name = options.name ?? `m${index + 1}`;
    return {
      name,
      clientPort: client,
      endpoint: `${scheme}://127.0.0.1:${client}`,
      peerUrl: `${options.peerTls ? 'https' : 'http'}://127.0.0.1:${peer}`,
      metricsUrl: `http://127.0.0.1:${metrics}`,
      dataDir: options.dataDir ?? join(folder.path, name),
    };
  });
  const initialCluster = plans.map((plan) => `${plan.name}=${plan.peerUrl}`).join(',');
  const members = plans.map((plan) =>
    makeMember(
      options,
      plan,
      [
        ...memberArgs(plan),
        ...['--initial-cluster', initialCluster, '--initial-cluster-token', token],
        ...versionArgs(options.version),
        ...(count === 1 ? quickElection : []),
        ...tlsArgs(options, certificates),
        ...(options.extraArgs ?? []),
      ],
      folder,
    ),
  );
  const stop = async () => {
    await Promise.all(members.map((member) => member.stop()));
    folder.remove();
  };
  try {
    await options.prepare?.({ initialCluster, token, members: plans });
    // Three members find a leader only together.
    const starts = await Promise.allSettled(members.map((member) => member.start()));
    for (const start of starts) if (start.status === 'rejected') throw start.reason;
    const server = makeServer(options, members, certificates, stop);
    if (options.auth !== undefined) await enableAuth(server, options.auth.password);
    return server;
  } catch (error) {
    await stop();
    throw error;
  }
}

interface MemberPlan {
  readonly name: string;
  readonly clientPort: number;
  readonly endpoint: string;
  readonly peerUrl: string;
  readonly metricsUrl: string;
  readonly dataDir: string;
}

function memberArgs(plan: MemberPlan): string[] {
  return [
    ...['--name', plan.name, '--data-dir', plan.dataDir],
    ...['--listen-client-urls', plan.endpoint, '--advertise-client-urls', plan.endpoint],
    ...['--listen-peer-urls', plan.peerUrl, '--initial-advertise-peer-urls', plan.peerUrl],
    ...['--listen-metrics-urls', plan.metricsUrl],
  ];
}

// A member alone has nobody to wait for; the default makes a restart take a second or two.
const quickElection = ['--heartbeat-interval', '10', '--election-timeout', '100'];

function versionArgs(version: EtcdVersion): string[] {
  if (version === '3.4') return ['--logger', 'zap', '--log-outputs', 'stderr', '--log-level', 'warn'];
  // The data of a test need not survive a power cut.
  return ['--log-level', 'warn', '--unsafe-no-fsync'];
}

function tlsArgs(options: EtcdOptions, certificates: Certificates | undefined): string[] {
  if (certificates === undefined) return [];
  const { certFile, keyFile } = certificates.server;
  // With an authority to trust, etcd wants a client certificate even where --client-cert-auth is off.
  const clients = options.clientCertAuth
    ? ['--client-cert-auth', '--trusted-ca-file', certificates.caFile]
    : [];
  const peers = options.peerTls
    ? [
        ...['--peer-cert-file', certFile, '--peer-key-file', keyFile],
        ...['--peer-trusted-ca-file', certificates.caFile, '--peer-client-cert-auth'],
      ]
    : [];
  return ['--cert-file', certFile, '--key-file', keyFile, ...clients, ...peers];
}

function makeMember(options: EtcdOptions, plan: MemberPlan, args: string[], folder: TempFolder): EtcdMember {
  let current: ServerProcess | undefined;
  const started = (): ServerProcess => {
    if (current === undefined) throw new Error(`etcd ${plan.name} was never started`);
    return current;
  };
  return {
    ...plan,
    get pid() {
      return started().pid;
    },
    get running() {
      return current?.running ?? false;
    },
    log: () => current?.log() ?? '',
    kill: (signal) => started().kill(signal),
    stop: async () => {
      await current?.stop();
    },
    start: async () => {
      if (current?.running) return;
      current = await startProcess({
        name: `etcd ${options.version} ${plan.name}`,
        command: requireTool(toolOf(options.version), 'etcd'),
        args,
        // An ETCD_… variable of the surroundings would change the server.
        env: { PATH: process.env.PATH, HOME: process.env.HOME, TMPDIR: process.env.TMPDIR },
        ready: (signal) => isReady(plan, signal),
        folders: [folder.path],
      });
    },
  };
}

/**
 * Ready: a leader is known, the cluster version is agreed on (before that some calls fail with "not capable"), and
 * the client port takes connections. `/health` would not do, as it is false for ever where the data holds an alarm.
 */
async function isReady(plan: MemberPlan, signal: AbortSignal): Promise<boolean> {
  const response = await fetch(`${plan.metricsUrl}/metrics`, { signal });
  const metrics = await response.text();
  return (
    /^etcd_server_has_leader 1$/m.test(metrics) &&
    /^etcd_cluster_version\{/m.test(metrics) &&
    (await canConnect(plan.clientPort, signal))
  );
}

function canConnect(port: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', signal });
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

function makeServer(
  options: EtcdOptions,
  members: readonly EtcdMember[],
  certificates: Certificates | undefined,
  stop: () => Promise<void>,
): EtcdServer {
  const [first] = members;
  if (first === undefined) throw new Error('an etcd cluster has at least one member');
  const { version } = options;
  const endpoints = members.map((member) => member.endpoint);
  let signIn = false;
  const auth =
    options.auth === undefined ? undefined : { username: 'root' as const, password: options.auth.password };
  const connection = (args: readonly string[]) => {
    const all = ['--endpoints', endpoints.join(',')];
    if (certificates !== undefined) all.push('--cacert', certificates.caFile);
    if (options.clientCertAuth && certificates !== undefined) {
      all.push('--cert', certificates.client.certFile, '--key', certificates.client.keyFile);
    }
    if (auth !== undefined && signIn) all.push('--user', 'root', '--password', auth.password);
    // What the caller says itself must not be there twice: lists would be joined.
    return pairs(all)
      .filter(([flag]) => !args.some((arg) => arg === flag || arg.startsWith(`${flag}=`)))
      .flat();
  };
  return {
    version,
    members,
    endpoints,
    certificates,
    auth,
    get pid() {
      return first.pid;
    },
    dataDir: first.dataDir,
    etcdctl: async (...args) => {
      const output = await etcdctl(version, ...connection(args), ...args);
      if (args[0] === 'auth' && args[1] === 'enable') signIn = true;
      if (args[0] === 'auth' && args[1] === 'disable') signIn = false;
      return output;
    },
    etcdutl: (...args) => etcdutl(version, ...args),
    kill: (signal) => {
      for (const member of members) member.kill(signal);
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function enableAuth(server: EtcdServer, password: string): Promise<void> {
  await server.etcdctl('user', 'add', 'root', '--new-user-password', password);
  await server.etcdctl('user', 'grant-role', 'root', 'root').catch(async () => {
    await server.etcdctl('role', 'add', 'root');
    await server.etcdctl('user', 'grant-role', 'root', 'root');
  });
  await server.etcdctl('auth', 'enable');
}

/** etcdctl of a version with these arguments only. Gives its stdout. */
export function etcdctl(version: EtcdVersion, ...args: string[]): Promise<string> {
  return run(requireTool(toolOf(version), 'etcdctl'), args);
}

/** etcdutl of a version; for 3.4, which has none, the same words to etcdctl. Gives its stdout. */
export function etcdutl(version: EtcdVersion, ...args: string[]): Promise<string> {
  return version === '3.4' ? etcdctl(version, ...args) : run(requireTool(toolOf(version), 'etcdutl'), args);
}

/** The installed versions. */
export function installedEtcdVersions(): EtcdVersion[] {
  return etcdVersions.filter((version) => tool(toolOf(version)) !== undefined);
}

/** The name that `describeWith` and `tool` know a version by. */
export function toolOf(version: EtcdVersion): ToolName {
  return `etcd-${version}`;
}

async function run(command: string, args: readonly string[]): Promise<string> {
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, ETCDCTL_API: '3' };
  const running = promisify(execFile)(command, args, { env, maxBuffer: 256 * 1024 * 1024, timeout: 120_000 });
  // etcdctl asks for a password where it misses one, and would wait for ever.
  running.child.stdin?.end();
  const { stdout } = await running;
  return stdout;
}

function pairs(flags: readonly string[]): [string, string][] {
  return flags.flatMap((flag, index) =>
    index % 2 === 0 ? [[flag, flags[index + 1] ?? ''] as [string, string]] : [],
  );
}
