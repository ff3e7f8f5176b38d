/** What git says when it fails, as errors with a name and a next step. */
import { type ErrorCode, GranaryError } from '../model/errors.ts';
import { formatDuration } from '../model/units.ts';
import { type RepositoryAddress, scrub } from './address.ts';

interface Failure {
  /** What git (or simple-git) said. */
  readonly words: string;
  /** The git command, for what has no better explanation. */
  readonly command: string;
  /** Set where git was ended because it said nothing for so long. */
  readonly stalledMs: number | null;
  readonly address: RepositoryAddress | null;
}

/** The first that matches is taken. Words are git's own in the C locale, or the server's as far as they are usual. */
const known: readonly { words: RegExp; code: ErrorCode; says: string; hint: string }[] = [
  {
    words: /remote host identification has changed/i,
    code: 'git-auth',
    says: 'the SSH host key of the server is another than the known one',
    hint: 'somebody may be in between: compare it with what the provider publishes, and only then replace the line in known_hosts',
  },
  {
    words: /host key verification failed/i,
    code: 'git-auth',
    says: 'the SSH host key of the server is not known here',
    hint: 'compare what `ssh-keyscan HOST` prints with what the provider publishes, then add the line to ~/.ssh/known_hosts',
  },
  {
    words:
      /authentication failed|could not read (username|password)|permission denied \(|terminal prompts disabled|access denied|returned error: 40[13]|invalid (username or )?(password|token|credentials)|write access to repository not granted/i,
    code: 'git-auth',
    says: 'the server refuses the credentials, or asks for some and none were given',
    hint: 'for HTTPS set up a git credential helper or give https://user:token@host/…; for SSH an agent, or GIT_SSH_COMMAND="ssh -i KEY" (docs/git.md)',
  },
  {
    words: /couldn't find remote ref|not our ref|no such remote ref|unadvertised object/i,
    code: 'git-ref-not-found',
    says: 'the server does not have that ref',
    hint: 'give a branch, a tag or a full commit id with --ref',
  },
  {
    words: /ssl certificate problem|certificate verify failed|server certificate verification failed/i,
    code: 'tls-untrusted',
    says: 'the certificate of the server is not trusted',
    hint: 'point GIT_SSL_CAINFO at the certificate of its authority',
  },
  {
    words: /could not resolve host|name or service not known|temporary failure in name resolution/i,
    code: 'git-failed',
    says: 'its host name cannot be resolved',
    hint: 'check the address, and DNS on this machine',
  },
  {
    words:
      /connection refused|failed to connect|couldn't connect|connection timed out|network is unreachable|no route to host/i,
    code: 'git-failed',
    says: 'it cannot be reached',
    hint: 'check the address, the proxy and the firewall',
  },
  {
    words: /dubious ownership/i,
    code: 'git-failed',
    says: 'it belongs to another user of this machine',
    hint: 'git config --global --add safe.directory PATH, if you trust it',
  },
  {
    words:
      /repository .*not found|does not appear to be a git repository|not a git repository|does not exist|no such file or directory/i,
    code: 'git-failed',
    says: 'there is no Git repository',
    hint: 'check the address; private repositories look missing without credentials',
  },
  {
    words: /spawn git ENOENT/i,
    code: 'git-failed',
    says: 'the program git is not installed',
    hint: 'install git, or use --path with a folder',
  },
  {
    words: /no space left on device|disk quota exceeded/i,
    code: 'disk-full',
    says: 'the disk is full',
    hint: 'free some space, or point TMPDIR at a larger disk',
  },
];

/** A failure of git as an error without secrets. The foreign error is not attached, for it may hold some. */
export function explainFailure(failure: Failure): GranaryError {
  const where = failure.address === null ? 'git' : failure.address.shown;
  const context = { repository: failure.address?.shown ?? null };
  if (failure.stalledMs !== null) {
    const message = `${where}: no answer for ${formatDuration(failure.stalledMs)}`;
    return new GranaryError('git-failed', message, { hint: 'check the network and the server', context });
  }
  const match = known.find((each) => each.words.test(failure.words));
  const words = essence(scrub(failure.words, failure.address), match?.words);
  if (match === undefined) {
    return new GranaryError('git-failed', `${where}: git ${failure.command} failed: ${words}`, {
      hint: 'run the same with git itself to see more',
      context,
    });
  }
  return new GranaryError(match.code, `${where}: ${match.says} (${words})`, { hint: match.hint, context });
}

/** The line that says why, without git's prefixes and ssh's frame, cut to a readable length. */
function essence(words: string, matched: RegExp | undefined): string {
  const lines = words.split('\n').map((line) => line.replace(/^[@\s]+|[@\s]+$/g, ''));
  const telling =
    lines.find((line) => matched?.test(line)) ??
    lines.find((line) => /^(fatal|error): /.test(line)) ??
    lines.find((line) => line !== '') ??
    'it said nothing';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a server's words go to a terminal
  const clean = telling.replace(/^(fatal|error): /, '').replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ');
  return clean.length > 300 ? `${clean.slice(0, 300)}…` : clean;
}
