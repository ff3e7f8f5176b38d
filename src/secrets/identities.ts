/** The private age keys that a command was given: from named files or two environment variables, nowhere else. */
import { type FileHandle, open } from 'node:fs/promises';
import { GranaryError } from '../model/errors.ts';
import { identityPattern, publicKeyOf } from './recipients.ts';
import { Secret } from './secret.ts';

/** One private key and where it was found. */
export interface Identity {
  /** Its public half, `age1…`. */
  readonly recipient: string;
  readonly secret: Secret;
  /** `key.txt:3`, `SOPS_AGE_KEY line 1`. */
  readonly source: string;
}

export interface Identities {
  /** Each key once, in the order found; empty where none was given. */
  readonly keys: readonly Identity[];
  /** What the operator should know, in words: a key file that others can read. */
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

const giveKeyHint = 'name a key file with --age-key-file, or set SOPS_AGE_KEY_FILE or SOPS_AGE_KEY';

/**
 * Reads the private keys. None at all is no error here: many commands need none (see `requireIdentities`).
 * Errors: `age-key-invalid` names file and line of what is no key, never its content; `file-unreadable`.
 * SOPS' other places (`~/.ssh`, `keys.txt`, `SOPS_AGE_KEY_CMD`) are deliberately not searched.
 */
export async function loadIdentities(options: IdentityOptions): Promise<Identities> {
  const keys: Identity[] = [];
  const notes: string[] = [];
  const add = async (text: string, origin: string, separator: string) => {
    for (const found of await parseIdentities(text, origin, separator)) {
      if (!keys.some((key) => key.recipient === found.recipient)) keys.push(found);
    }
  };

  const environmentFile = options.env.SOPS_AGE_KEY_FILE;
  const files = options.files.length > 0 ? options.files : environmentFile ? [environmentFile] : [];
  for (const file of files) {
    const { text, readableByOthers } = await readKeyFile(file);
    if (readableByOthers) {
      notes.push(
        `${file} holds private keys and can be read by every user of this machine: chmod 600 ${file}`,
      );
    }
    await add(text, file, ':');
  }
  const environmentKeys = options.env.SOPS_AGE_KEY;
  if (options.files.length === 0 && environmentKeys) await add(environmentKeys, 'SOPS_AGE_KEY', ' line ');
  return { keys, notes };
}

/** The keys, at least one; `age-key-missing` where none was given. `purpose` says what they open: `x.sops.yaml`. */
export function requireIdentities(identities: Identities, purpose: string): readonly Identity[] {
  if (identities.keys.length > 0) return identities.keys;
  throw new GranaryError('age-key-missing', `no private key was given, and ${purpose} needs one`, {
    hint: giveKeyHint,
  });
}

async function parseIdentities(text: string, origin: string, separator: string): Promise<Identity[]> {
  const found: Identity[] = [];
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const source = `${origin}${separator}${index + 1}`;
    const refuse = (what: string, hint: string) =>
      new GranaryError('age-key-invalid', `${source} ${what}`, {
        hint,
        context: { source: origin, line: index + 1 },
      });
    if (!identityPattern.test(line)) throw refuse(...explainNoIdentity(line));
    const secret = new Secret(line);
    try {
      found.push({ recipient: await publicKeyOf(secret), secret, source });
    } catch {
      throw refuse('holds a mistyped private key: its checksum does not fit', copyAgainHint);
    }
  }
  return found;
}

const copyAgainHint = 'copy the whole line again from where the key is kept';

/** What a line is that is no X25519 private key, and what to do. Tells kinds apart, never repeats the content. */
function explainNoIdentity(line: string): [what: string, hint: string] {
  if (/^-----BEGIN (OPENSSH|RSA|EC|DSA)?/.test(line) && line.includes('PRIVATE KEY')) {
    return [
      'is an SSH or TLS key, which is not supported',
      'give an age key: `age-keygen -o key.txt` makes one',
    ];
  }
  if (line.startsWith('age-encryption.org/') || line.includes('BEGIN AGE ENCRYPTED FILE')) {
    return [
      'is an encrypted key file, and no passphrase can be asked for here',
      'decrypt it first: `--age-key-file <(age -d KEYFILE)`',
    ];
  }
  if (/^AGE-PLUGIN-/i.test(line)) {
    return [
      'holds a plugin’s key, which is not supported',
      'give an X25519 key: `age-keygen -o key.txt` makes one',
    ];
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
