/** A real SSH server on a loopback port, for the current user and one key, that serves Git repositories. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { userInfo } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { freePort } from './ports.ts';
import { StartFailure, startProcess } from './process.ts';
import { tempFolder } from './temp.ts';
import { requireTool } from './tools.ts';

export interface SshServer extends AsyncDisposable {
  readonly port: number;
  readonly user: string;
  /** Private key that is let in. */
  readonly userKey: string;
  /** Another private key, which is not. */
  readonly strangerKey: string;
  /** A line for a `known_hosts` file. */
  readonly knownHost: string;
  /** The same line with a key that this server never had. */
  readonly formerHost: string;
  log(): string;
  stop(): Promise<void>;
}

const portAttempts = 5;

/** Starts sshd and returns when it greets. */
export async function startSshd(): Promise<SshServer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce();
    } catch (error) {
      if (!(error instanceof StartFailure && error.portTaken) || attempt === portAttempts) throw error;
    }
  }
}

async function startOnce(): Promise<SshServer> {
  const folder = tempFolder('sshd');
  try {
    const port = await freePort();
    const user = userInfo().username;
    const key = (name: string) => {
      const path = folder.join(name);
      execFileSync(requireTool('ssh', 'ssh-keygen'), [
        '-q',
        '-t',
        'ed25519',
        '-N',
        '',
        '-C',
        name,
        '-f',
        path,
      ]);
      return { path, line: readFileSync(`${path}.pub`, 'utf8').trim() };
    };
    const [host, former, friend, stranger] = [key('host'), key('former'), key('friend'), key('stranger')];
    copyFileSync(`${friend.path}.pub`, folder.join('authorized_keys'));
    const config = folder.join('sshd_config');
    writeFileSync(config, configuration(port, host.path, folder.join('authorized_keys')));
    const server = await startProcess({
      name: 'sshd',
      // sshd starts itself again for each connection, and takes only an absolute path for that.
      command: requireTool('sshd'),
      args: ['-D', '-e', '-f', config],
      env: environment(folder.path),
      ready: () => greets(port),
      folders: [folder.path],
    });
    const stop = async () => {
      await server.stop();
      folder.remove();
    };
    const known = (line: string) => `[127.0.0.1]:${port} ${line}\n`;
    return {
      port,
      user,
      userKey: friend.path,
      strangerKey: stranger.path,
      knownHost: known(host.line),
      formerHost: known(former.line),
      log: () => server.log(),
      stop,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    folder.remove();
    throw error;
  }
}

function configuration(port: number, hostKey: string, authorizedKeys: string): string {
  return [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${hostKey}`,
    `AuthorizedKeysFile ${authorizedKeys}`,
    'AuthenticationMethods publickey',
    'PermitRootLogin prohibit-password',
    // Temp folders may be anybody's.
    'StrictModes no',
    'UsePAM no',
    'PidFile none',
    '',
  ].join('\n');
}

/**
 * Run by root, sshd wants the user `sshd` and an empty folder of root's to lock its unprivileged half into; both come
 * with the installed package only. The user is made up for this one process (libnss_wrapper), the folder is made where
 * the package would make it.
 */
function environment(folder: string): NodeJS.ProcessEnv {
  const libraries = dirname(requireTool('sshd'));
  const base = {
    PATH: process.env.PATH,
    LD_LIBRARY_PATH: [libraries, process.env.LD_LIBRARY_PATH].filter(Boolean).join(delimiter),
  };
  if (process.getuid?.() !== 0) return base;
  mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const users = readFileSync('/etc/passwd', 'utf8');
  const wrapper = join(libraries, 'libnss_wrapper.so');
  if (/^sshd:/m.test(users) || !existsSync(wrapper)) return base;
  const passwd = join(folder, 'passwd');
  writeFileSync(passwd, `${users.trimEnd()}\nsshd:x:65534:65534::/run/sshd:/usr/sbin/nologin\n`);
  return {
    ...base,
    LD_PRELOAD: wrapper,
    NSS_WRAPPER_PASSWD: passwd,
    NSS_WRAPPER_GROUP: '/etc/group',
  };
}

/** The first thing an SSH server says is its version. */
function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
    socket.once('data', (data) => {
      resolve(data.toString().startsWith('SSH-2.0-'));
      socket.destroy();
    });
  });
}
