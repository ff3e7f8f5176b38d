/** The private keys that a command was given, age's own and SSH keys: from named files or two environment variables, nowhere else. */
import { type FileHandle, open } from 'node:fs/promises';
import { GranaryError } from '../model/errors.ts';
import { commandLine } from '../model/shell.ts';
import { identityPattern, publicKeyOf } from './recipients.ts';
import { Secret } from './secret.ts';
import { isSshPrivateKey, readSshPrivateKey } from './ssh-key.ts';

/** What opens an age file. */
export interface PrivateKey {
  readonly kind: 'x25519' | 'ssh-ed25519';
  /** `AGE-SECRET-KEY-1…`; of an SSH key its seed in base64. */
  readonly secret: Secret;
}

/** One private key and where it was found. */
export interface Identity extends PrivateKey {
  /** Its public half, `age1…`, or `ssh-ed25519 AAAA…` without a comment. */
  readonly recipient: string;
  /** `key.txt:3`, `SOPS_AGE_KEY line 1`. */
  readonly source: string;
}

export interface Identities {
  /** Each key once, in the order found; empty where none was given. */
  readonly keys: readonly Identity[];
  /** Keys of age plugins, `AGE-PLUGIN-…`: only the `sops` program can use them, through the plugin. */
  readonly plugins: readonly Secret[];
  /** What the operator should know, in words: a key file that others can read, one without a key. */
  readonly notes: readonly string[];
}

export interface IdentityOptions {
  /** Paths given with `--age-key-file`. Where there are any, the environment is not looked at. */
  readonly files: readonly string[];
  /** `SOPS_AGE_KEY_FILE` (one path) and `SOPS_AGE_KEY` (keys, one a line) are read; nothing else is. */
  readonly env: NodeJS.ProcessEnv;
}

/** A key file of some thousand keys fits; a device or a wrong file ends here instead of filling the memory. */
const maximumBytes = 1024 * 1024;

/** What to do where a private key is missing. */
export const giveKeyHint = 'name a key file with --age-key-file, or set SOPS_AGE_KEY_FILE or SOPS_AGE_KEY';

/**
 * Reads the private keys. None at all is no error here: many commands need none.
 * Errors: `age-key-invalid` names file and line of what is no key, never its content; `file-unreadable`.
 * An SSH key is read from a file that somebody named and that holds nothing else. SOPS' other places (`~/.ssh`,
 * `keys.txt`, `SOPS_AGE_KEY_CMD`) are deliberately not searched.
 */
export async function loadIdentities(options: IdentityOptions): Promise<Identities> {
  const keys: Identity[] = [];
  const plugins: Secret[] = [];
  const notes: string[] = [];
  const add = async (text: string, origin: string, separator: string) => {
    const all = await parseIdentities(text, origin, separator);
    for (const found of all) {
      if (found instanceof Secret) plugins.push(found);
      else if (!keys.some((key) => key.recipient === found.recipient)) keys.push(found);
    }
    return all.length;
  };

  const environmentFile = options.env.SOPS_AGE_KEY_FILE;
  const files = options.files.length > 0 ? options.files : environmentFile ? [environmentFile] : [];
  for (const file of files) {
    const { text, readableByOthers } = await readKeyFile(file);
    if ((await add(text, file, ':')) === 0) {
      notes.push(`${file} holds no private key`);
    } else if (readableByOthers) {
      notes.push(
        `${file} holds private keys and can be read by every user of this machine: ${commandLine('chmod', '600', file)}`,
      );
    }
  }
  const environmentKeys = options.env.SOPS_AGE_KEY;
  if (options.files.length === 0 && environmentKeys) await add(environmentKeys, 'SOPS_AGE_KEY', ' line ');
  return { keys, plugins, notes };
}

/** A secret by itself is a plugin's key. */
async function parseIdentities(
  text: string,
  origin: string,
  separator: string,
): Promise<(Identity | Secret)[]> {
  if (isSshPrivateKey(text)) return [sshIdentity(text, origin)];
  const found: (Identity | Secret)[] = [];
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const source = `${origin}${separator}${index + 1}`;
    const refuse = (what: string, hint: string) =>
      new GranaryError('age-key-invalid', `${source} ${what}`, {
        hint,
        context: { source: origin, line: index + 1 },
      });
    if (pluginIdentity.test(line)) {
      found.push(new Secret(line));
      continue;
    }
    if (!identityPattern.test(line)) throw refuse(...explainNoIdentity(line));
    const secret = new Secret(line);
    try {
      found.push({ kind: 'x25519', recipient: await publicKeyOf(secret), secret, source });
    } catch {
      throw refuse('holds a mistyped private key: its checksum does not fit', copyAgainHint);
    }
  }
  return found;
}

function sshIdentity(text: string, source: string): Identity {
  const read = readSshPrivateKey(text);
  if (typeof read === 'string') {
    throw new GranaryError('age-key-invalid', `${source} ${read}`, {
      hint: 'name an ed25519 key without a passphrase that serves for this alone: `ssh-keygen -t ed25519 -N "" -f FILE`; or an age key',
      context: { source },
    });
  }
  const { seed, recipient } = read;
  return { kind: 'ssh-ed25519', recipient, secret: new Secret(seed.toString('base64')), source };
}

/** As `age-plugin-…` programs print them: the name of the plugin, then data that only it understands. */
const pluginIdentity = /^AGE-PLUGIN-[A-Z0-9-]{1,60}-1[02-9AC-HJ-NP-Z]{6,4000}$/;

/** What is no name of a file, and must not be shown as one. */
const holdsKey = /AGE-SECRET-KEY-|AGE-PLUGIN-|PRIVATE KEY-----/i;

const copyAgainHint = 'copy the whole line again from where the key is kept';

/** What a line is that is no X25519 private key, and what to do. Tells kinds apart, never repeats the content. */
function explainNoIdentity(line: string): [what: string, hint: string] {
  if (/^-----BEGIN (OPENSSH|RSA|EC|DSA)?/.test(line) && line.includes('PRIVATE KEY')) {
    return [
      'is the beginning of an SSH or TLS key that is not supported',
      'give an age key (`age-keygen -o key.txt` makes one), or a file with nothing but an OpenSSH ed25519 key',
    ];
  }
  if (line.startsWith('age-encryption.org/') || line.includes('BEGIN AGE ENCRYPTED FILE')) {
    return [
      'is an encrypted key file, and no passphrase can be asked for here',
      'decrypt it first: `--age-key-file <(age -d KEYFILE)`',
    ];
  }
  if (/^AGE-PLUGIN-/i.test(line)) {
    return ['holds a mistyped key of an age plugin', copyAgainHint];
  }
  if (/^AGE-SECRET-KEY-PQ-1/i.test(line)) {
    return ['holds a post-quantum key, which is not supported', 'give an X25519 key: `age-keygen` makes one'];
  }
  if (/^age1/.test(line)) {
    return [
      'holds a recipient (the public half), not a private key',
      'a private key begins with AGE-SECRET-KEY-1',
    ];
  }
  if ((line.match(/AGE-SECRET-KEY-1/gi)?.length ?? 0) > 1) {
    return ['holds more than one private key', 'write one key a line'];
  }
  if (/AGE-SECRET-KEY-1/i.test(line)) return ['holds a mistyped private key', copyAgainHint];
  return [
    'is neither a private key, a comment nor empty',
    'a key file has lines that begin with AGE-SECRET-KEY-1 or with #',
  ];
}

async function readKeyFile(path: string): Promise<{ text: string; readableByOthers: boolean }> {
  let file: FileHandle | undefined;
  const buffer = Buffer.alloc(maximumBytes + 1);
  try {
    file = await open(path, 'r');
    const status = await file.stat();
    let length = 0;
    // Read piece by piece, for `<(age -d …)` is a pipe: it has no size and no position.
    while (length < buffer.length) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    if (length > maximumBytes) {
      throw new GranaryError('age-key-invalid', `${path} is larger than 1 MiB: it cannot be a key file`, {
        hint: giveKeyHint,
      });
    }
    const readableByOthers = status.isFile() && (status.mode & 0o004) !== 0;
    return { text: buffer.toString('utf8', 0, length), readableByOthers };
  } catch (error) {
    if (error instanceof GranaryError) throw error;
    if (holdsKey.test(path)) {
      throw new GranaryError(
        'age-key-invalid',
        'a private key itself was given where a file with it is named',
        {
          hint: 'write it to a file that only you can read, and name that; or give the key in SOPS_AGE_KEY',
        },
      );
    }
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    const reasons: Record<string, string> = { ENOENT: 'does not exist', EISDIR: 'is a folder' };
    throw new GranaryError(
      'file-unreadable',
      `the age key file ${path} ${reasons[code] ?? `cannot be read (${code})`}`,
      {
        hint: giveKeyHint,
        context: { file: path },
      },
    );
  } finally {
    buffer.fill(0);
    await file?.close();
  }
}
