/** An etcd that is named on the command line and in no configuration, with flags as etcdctl has them. */
import { readFile } from 'node:fs/promises';
import { connectMember, type EtcdCallOptions, type MemberConnection } from '../etcd/connection.ts';
import { type EtcdTarget, parseEndpoint } from '../etcd/target.ts';
import { asGranaryError, type ErrorCode, GranaryError, usage } from '../model/errors.ts';
import { Secret } from '../secrets/secret.ts';

export interface EtcdLogin {
  /** Client URLs, comma between; without a scheme as etcdctl takes them. */
  readonly endpoints: string;
  /** Paths of PEM files. */
  readonly cacert?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly user?: string | undefined;
  readonly passwordFile?: string | undefined;
}

/**
 * @param env ETCDCTL_PASSWORD counts where no file is given
 * @throws GranaryError `usage`, `config-invalid` for what is no URL, `file-unreadable`
 */
export async function etcdLogin(login: EtcdLogin, env: NodeJS.ProcessEnv): Promise<EtcdTarget> {
  const { cacert, cert, key } = login;
  const hasTls = (cacert ?? cert ?? key) !== undefined;
  const endpoints = login.endpoints
    .split(',')
    .map((url) => url.trim())
    .filter((url) => url !== '')
    .map((url) => (url.includes('://') ? url : `${hasTls ? 'https' : 'http'}://${url}`));
  if (endpoints.length === 0) throw usage('no endpoint is named', 'write it like https://10.0.0.1:2379');
  for (const url of endpoints) parseEndpoint(url);
  if ((cert === undefined) !== (key === undefined))
    throw usage('--cert and --key belong together', 'give both, or neither');
  const [ca, certificate, privateKey] = await Promise.all([cacert, cert, key].map(readGiven));
  return {
    name: endpoints.join(','),
    endpoints,
    tls: hasTls
      ? {
          ca: ca ?? null,
          certificate: certificate ?? null,
          key: privateKey === undefined ? null : new Secret(privateKey),
          serverName: null,
        }
      : null,
    auth: await readAuth(login, env),
  };
}

/** Puts a failure into the words of whoever named the etcd. */
export type Explain = (thrown: unknown) => GranaryError;

/**
 * Connects to the first endpoint that answers and can write: a learner cannot.
 * @throws GranaryError that of the first endpoint, where none does
 */
export async function connectAny(
  target: EtcdTarget,
  explain: Explain,
  options: EtcdCallOptions,
): Promise<MemberConnection> {
  let failure: unknown;
  for (const endpoint of target.endpoints) {
    try {
      const connection = await connectMember(target, endpoint, options);
      const { isLearner } = await connection.status(options);
      if (!isLearner) return connection;
      connection.close();
      throw new GranaryError('etcd-no-member', `${endpoint} is a learner, which takes no writes`, {
        hint: 'name a voting member',
      });
    } catch (error) {
      options.signal.throwIfAborted();
      failure ??= error;
    }
  }
  throw explain(failure);
}

/** What a configuration would say in a hint is here said in flags. */
export function loginError(thrown: unknown): GranaryError {
  const error = asGranaryError(thrown, 'etcd-failed');
  return saysAll(error) ? error : error.withHint(hints[error.code] ?? error.hint);
}

/** Of TLS, what has nothing to do with what a configuration, or the flags in its place, can say. */
function saysAll({ code, hint = '' }: GranaryError): boolean {
  return code === 'etcd-tls' && !/`serverName`|`caFile`|a certificate and key of/.test(hint);
}

const hints: Partial<Record<ErrorCode, string>> = {
  'etcd-auth': 'look at --user, and at the password in --password-file or ETCDCTL_PASSWORD',
  'etcd-permission':
    'the user needs a role that may read and write these keys: `etcdctl role grant-permission`',
  'etcd-tls': 'look at --cacert, --cert and --key, and at the names in the certificate of that member',
};

async function readAuth(
  { user, passwordFile }: EtcdLogin,
  env: NodeJS.ProcessEnv,
): Promise<EtcdTarget['auth']> {
  if (user === undefined) {
    if (passwordFile !== undefined)
      throw usage('--password-file without --user', 'give the name of the user too');
    return null;
  }
  const [username = '', ...rest] = user.split(':');
  // Not quoted: what stands behind the colon is a password.
  if (rest.length > 0)
    throw usage(
      '--user holds more than a name: every user of this machine can read a command line',
      'put the password into a file for --password-file, or into ETCDCTL_PASSWORD',
    );
  const password =
    passwordFile === undefined
      ? env.ETCDCTL_PASSWORD
      : (await readGiven(passwordFile))?.replace(/\r?\n$/, '');
  if (password === undefined || password === '')
    throw usage(
      `there is no password for the user ${username}`,
      'put it into a file for --password-file, or into ETCDCTL_PASSWORD',
    );
  return { username, password: new Secret(password) };
}

async function readGiven(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'does not exist' : `cannot be read (${code ?? 'unknown'})`;
    throw new GranaryError('file-unreadable', `${file} ${why}`, { hint: 'look at the path', cause });
  }
}
