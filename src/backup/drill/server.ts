/**
 * A real etcd on a restored data directory: on loopback, for nobody but us, of low priority, and gone at the end.
 * How long it takes is not limited, only how long it may do nothing.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { constants, setPriority } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { MemberConnection } from '../../etcd/connection.ts';
import { range } from '../../etcd/kv.ts';
import { parseEndpoint } from '../../etcd/target.ts';
import { GranaryError, isGranaryError } from '../../model/errors.ts';
import { findProgram } from '../../secrets/program.ts';
import type { CallOptions } from '../../store/store.ts';
import { compareEtcdVersions } from '../data-directory/version.ts';
import { workOf } from '../processes.ts';
import type { EtcdBinary } from './binary.ts';
import { makeCertificate } from './certificate.ts';
import type { ScratchFolder } from './scratch.ts';

export interface ServerOptions extends CallOptions {
  readonly binary: EtcdBinary;
  readonly scratch: ScratchFolder;
  /** Of the member that the data directory is for; made by etcd where it is not there. */
  readonly dataDir: string;
  /** Bytes: more than the database has. */
  readonly quota: number;
  /** Bytes of memory that it may have beside the database, which it maps and the system may take back at any time. */
  readonly memory: number;
  /** So long it may do nothing while something is wanted of it. */
  readonly stallMs: number;
}

/** Name of the one member. */
export const memberName = 'drill';
/** Another program may take a port between our looking and etcd's. */
const portAttempts = 5;
/** How often it is looked whether etcd is ready, and whether it works. */
const [readyMs, workMs] = [50, 500];
/** More of a core than a hanging etcd takes, and no more than one of low priority gets on a machine that is busy. */
const workShare = 0.02;
const leastDiskBytes = 1 << 20;
/** Calls are not limited: the signal ends them where etcd stalls or ends. */
export const callMs = 86_400_000;
const logBytes = 16 * 1024;
/** Share of the memory that Go may have in use before it collects all the time. */
const collectAt = 0.6;

export class ScratchServer implements AsyncDisposable {
  readonly connection: MemberConnection;
  /** Fires when etcd has ended or does nothing any more; reason: a GranaryError. */
  readonly signal: AbortSignal;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #watching: AbortController;

  private constructor(started: Started, connection: MemberConnection) {
    this.connection = connection;
    this.signal = started.lost;
    this.#child = started.child;
    this.#exited = started.exited;
    this.#watching = started.watching;
  }

  /**
   * Starts etcd, and returns when it answers.
   * @throws GranaryError `etcd-unusable` where it cannot be started; `etcd-failed` where it ended by itself, in the
   *   context's `ended` how; `stalled`; the signal's reason. Nothing runs then
   */
  static async start(options: ServerOptions): Promise<ScratchServer> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await startOnce(options, (started, connection) => new ScratchServer(started, connection));
      } catch (error) {
        if (!isPortTaken(error) || attempt === portAttempts) throw error;
      }
    }
  }

  /** At once: nobody needs the data any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.connection.close();
    await end(this.#child, this.#exited, this.#watching);
  }
}

interface Started {
  readonly child: ChildProcess;
  readonly exited: Promise<void>;
  readonly watching: AbortController;
  readonly lost: AbortSignal;
}

async function startOnce(
  options: ServerOptions,
  make: (started: Started, connection: MemberConnection) => ScratchServer,
): Promise<ScratchServer> {
  const { signal, binary, scratch } = options;
  const [clientPort = 0, peerPort = 0] = await freePorts(2);
  const [client, peer] = [clientPort, peerPort].map((port) => `https://127.0.0.1:${port}`) as [
    string,
    string,
  ];
  const { certificate, key } = makeCertificate();
  const certFile = await scratch.write('certificate.pem', certificate);
  const keyFile = await scratch.write('key.pem', key.reveal());
  signal.throwIfAborted();
  const started = await launch(
    binary,
    [
      ...argumentsOf(options, client, peer),
      ...[
        '--cert-file',
        certFile,
        '--key-file',
        keyFile,
        '--trusted-ca-file',
        certFile,
        '--client-cert-auth',
      ],
      ...['--peer-cert-file', certFile, '--peer-key-file', keyFile],
      ...['--peer-trusted-ca-file', certFile, '--peer-client-cert-auth'],
    ],
    options,
  );
  const tls = { ca: certificate, certificate, key, serverName: null };
  const target = { name: 'the drill', endpoints: [client], tls, auth: null };
  const connection = new MemberConnection(target, parseEndpoint(client));
  try {
    if (started.child.pid !== undefined) await scratch.noteEtcd(started.child.pid);
    const either = AbortSignal.any([signal, started.lost]);
    await portOpen(clientPort, either);
    await answering(connection, either);
    return make(started, connection);
  } catch (error) {
    connection.close();
    await end(started.child, started.exited, started.watching);
    signal.throwIfAborted();
    throw started.lost.aborted ? started.lost.reason : error;
  }
}

function argumentsOf({ binary, dataDir, quota }: ServerOptions, client: string, peer: string): string[] {
  // Nothing of it must survive a power cut. 3.4 does not know the flag.
  const fast = compareEtcdVersions(binary.minor, { major: 3, minor: 5 }) >= 0 ? ['--unsafe-no-fsync'] : [];
  return [
    ...['--name', memberName, '--data-dir', dataDir],
    ...['--listen-client-urls', client, '--advertise-client-urls', client],
    ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
    ...['--initial-cluster', `${memberName}=${peer}`],
    // A member alone has nobody to wait for.
    ...['--heartbeat-interval', '100', '--election-timeout', '1000'],
    ...['--quota-backend-bytes', String(quota)],
    // Warnings name keys: what it says is heard only where it ends.
    ...['--logger', 'zap', '--log-outputs', 'stderr', '--log-level', 'error'],
    ...fast,
  ];
}

async function launch(
  binary: EtcdBinary,
  args: readonly string[],
  { memory, stallMs }: Pick<ServerOptions, 'memory' | 'stallMs'>,
): Promise<Started> {
  const [nice, prlimit] = await Promise.all(
    ['nice', 'prlimit'].map((name) => findProgram(name, process.env)),
  );
  const [command, ...words] = [
    ...(nice == null ? [] : [nice, '-n', '19']),
    // Not its address space, of which bbolt takes 10 GiB at once to map a database into.
    ...(prlimit == null ? [] : [prlimit, `--data=${memory}`]),
    binary.path,
    ...args,
  ] as [string, ...string[]];
  const env = {
    GOMAXPROCS: '1',
    // Garbage goes before the limit is met.
    GOMEMLIMIT: String(Math.floor(memory * collectAt)),
    // An ETCD_… variable of the surroundings would change the server, and none of them is its business.
    ETCD_UNSUPPORTED_ARCH: process.env.ETCD_UNSUPPORTED_ARCH ?? '',
  };
  const child = spawn(command, words, { stdio: ['ignore', 'ignore', 'pipe'], env, cwd: '/' });
  const lost = new AbortController();
  const watching = new AbortController();
  const log = lastWords(child);
  const exited = new Promise<void>((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      const message = `${binary.path} cannot be started (${error.code ?? 'unknown error'})`;
      lost.abort(new GranaryError('etcd-unusable', message, { cause: error }));
      resolve();
    });
    child.once('close', (code, by) => {
      lost.abort(ended(binary, code, by, log()));
      resolve();
    });
  });
  const { pid } = child;
  if (pid !== undefined) {
    // Where memory runs out, this one is to go and not who started it. Linux only.
    await writeFile(`/proc/${pid}/oom_score_adj`, '1000').catch(() => {});
    if (nice == null) tryTo(() => setPriority(pid, constants.priority.PRIORITY_LOW));
    void watch(pid, stallMs, lost, watching.signal);
  }
  return { child, exited, watching, lost: lost.signal };
}

/** Ends waiting for an etcd that hangs: one that neither computes nor reads while something is wanted of it. */
async function watch(pid: number, stallMs: number, lost: AbortController, until: AbortSignal): Promise<void> {
  let [since, seen] = [performance.now(), await workOf(pid)];
  while (!until.aborted && !lost.signal.aborted) {
    await delay(Math.min(workMs, stallMs), undefined, { signal: until }).catch(() => {});
    const now = await workOf(pid);
    const worked =
      now !== null &&
      seen !== null &&
      (now.cpuMs - seen.cpuMs >= stallMs * workShare || now.diskBytes - seen.diskBytes >= leastDiskBytes);
    if (worked) [since, seen] = [performance.now(), now];
    else if (performance.now() - since >= stallMs) {
      const message = `etcd did nothing for ${Math.round(stallMs / 1_000)} s while it was waited for`;
      lost.abort(new GranaryError('stalled', message, { hint: 'is the disk or the machine overloaded?' }));
    }
  }
}

async function end(child: ChildProcess, exited: Promise<void>, watching: AbortController): Promise<void> {
  watching.abort();
  if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  await exited;
}

/** Ready: it has a leader, which is itself, and answers for it. */
async function answering(connection: MemberConnection, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      await range(connection, { keys: { prefix: '' }, limit: 1, keysOnly: true }, { signal });
      return;
    } catch (error) {
      signal.throwIfAborted();
      // No leader yet, no version agreed on yet, no connection yet.
      if (!isGranaryError(error, 'etcd-failed', 'etcd-unreachable')) throw error;
    }
    await delay(readyMs, undefined, { signal });
  }
}

/** gRPC would wait for a second and more after the first refusal. */
async function portOpen(port: number, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const socket = connect({ port, host: '127.0.0.1' });
    if (await opens(socket)) return;
    await delay(readyMs, undefined, { signal }).catch(() => {});
  }
}

function opens(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(0, '127.0.0.1', resolve);
      });
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function lastWords(child: ChildProcess): () => string {
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk).slice(-logBytes);
  });
  return () => text;
}

/** How it came to its end, for whoever judges whether the data or the machine is to blame. */
export type EndedBy = 'itself' | 'signal' | 'port' | 'machine';

function ended(
  { path, version }: EtcdBinary,
  code: number | null,
  by: NodeJS.Signals | null,
  log: string,
): GranaryError {
  const why = by === null ? `with code ${code}` : `by ${by}`;
  const said = lastError(log);
  const how: EndedBy = /address already in use/.test(log)
    ? 'port'
    : /no space left on device|cannot allocate memory|out of memory|permission denied|too many open files/i.test(
          log,
        )
      ? 'machine'
      : by === null
        ? 'itself'
        : 'signal';
  return new GranaryError(
    'etcd-failed',
    `etcd ${version} ended ${why} while it was needed${said === '' ? '' : `: ${said}`}`,
    {
      hint:
        by === 'SIGKILL' || (how === 'machine' && /memory/.test(log))
          ? 'was there too little memory for it?'
          : `\`${path}\` on a restored data directory says more`,
      context: { path, version, ended: how },
    },
  );
}

/** zap's last line that tells of an error, or a panic's first. */
function lastError(log: string): string {
  const panic = /^panic: (.*)$/m.exec(log)?.[1];
  if (panic !== undefined) return panic.slice(0, 300);
  const lines = log.split('\n').flatMap((line) => {
    try {
      const { msg = '', error = '' } = JSON.parse(line) as { msg?: string; error?: string };
      return [[msg, error].filter((part) => part !== '').join(': ')];
    } catch {
      return [];
    }
  });
  return (lines.at(-1) ?? '').slice(0, 300);
}

function isPortTaken(error: unknown): boolean {
  return isGranaryError(error, 'etcd-failed') && error.context.ended === 'port';
}

function tryTo(call: () => void): void {
  try {
    call();
  } catch {
    // It runs as it is.
  }
}
