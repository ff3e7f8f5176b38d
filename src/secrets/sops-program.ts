/**
 * The `sops` program, for files that only it can open: by PGP, a key service, Vault or an age plugin. It is started
 * with a list of arguments and an environment of its own; what it decrypts stays in memory, and what it says on stderr
 * is dropped, for nobody can promise that no secret is in it.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GranaryError } from '../model/errors.ts';
import { withAgeList } from './age-list.ts';
import { keysInWords, recipientsOf } from './data-key.ts';
import { kindInWords } from './foreign-keys.ts';
import type { Identities } from './identities.ts';
import { findProgram, run } from './program.ts';
import type { CredentialFile } from './sops-file.ts';

export interface ProgramOptions {
  /** Searched for PATH, and for what may be passed on. */
  readonly env: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal | undefined;
}

/** What clients of key services, gpg and plugins need of the surroundings. Nothing of SOPS' own: that could name commands. */
const passedOn =
  /^(AWS_.*|GOOGLE_.*|AZURE_.*|VAULT_.*|GNUPGHOME|HOME|PATH|HTTPS_PROXY|NO_PROXY|SSL_CERT_FILE|SSL_CERT_DIR)$/;

/** A key service in another part of the world takes seconds; a gpg that waits for a person takes for ever. */
const limitMs = 60_000;
/** A credential file is 1 MiB at most. */
const maximumBytes = 4 * 1024 * 1024;
/** Exit statuses of sops that say the content is not what was encrypted (its codes.go): 24, 25, 51 and 52. */
const tamperedCodes = [24, 25, 51, 52];

/** True where somebody but an age or SSH key of ours could open the file, if the program were there. */
export function needsProgram(file: CredentialFile, identities: Identities): boolean {
  const { foreign, stanzas } = file.metadata;
  return (
    foreign.length > 0 || (identities.plugins.length > 0 && stanzas.some(({ kind }) => kind === 'age-plugin'))
  );
}

/**
 * The values of `data`, opened and authenticated by the program.
 * @param text of the file, which our own reader has found sound as far as that can be said without a key
 * @throws GranaryError `sops-program-missing`, `sops-program-failed`, `sops-tampered`, `sops-invalid`, `interrupted`
 */
export async function openWithProgram(
  path: string,
  text: string,
  file: CredentialFile,
  identities: Identities,
  options: ProgramOptions,
): Promise<Map<string, string>> {
  const { foreign, stanzas } = file.metadata;
  // sops searches `~/.ssh` and other places for age recipients alone: it gets to see only those of plugins.
  const asked = foreign.length > 0 ? [] : stanzas.filter(({ kind }) => kind === 'age-plugin');
  const input = withAgeList(text, file.metadata, asked);
  const args = ['decrypt', '--input-type', 'yaml', '--output-type', 'json'];
  return valuesIn(path, file, await runSops(path, file, args, input, identities, options));
}

/**
 * The same file with other values, set by the program: for those whose data key only it can get at. What it works on is
 * a copy of the encrypted file in a folder of its own; the values reach it on stdin.
 * @throws GranaryError as `openWithProgram`
 */
export async function setWithProgram(
  path: string,
  text: string,
  file: CredentialFile,
  values: ReadonlyMap<string, string>,
  identities: Identities,
  options: ProgramOptions,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'granary-sops-'));
  try {
    const copy = join(folder, 'credential.yaml');
    await writeFile(copy, text, { mode: 0o600 });
    // Other kinds first, so that age keys, for which sops would search, are not asked for.
    const order = [...file.metadata.foreign.map(({ kind }) => kind), 'age'];
    for (const [key, value] of values) {
      const args = ['set', '--value-stdin', '--decryption-order', [...new Set(order)].join(',')];
      const index = `["data"][${JSON.stringify(key)}]`;
      await runSops(path, file, [...args, copy, index], JSON.stringify(value), identities, options);
    }
    return await readFile(copy, 'utf8');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What the program writes on stdout, where it ends well. */
async function runSops(
  path: string,
  file: CredentialFile,
  args: readonly string[],
  input: string,
  identities: Identities,
  options: ProgramOptions,
): Promise<Buffer> {
  const program = await requireProgram(path, file, identities, options.env);
  const { code, stdout } = await run(program, args, {
    env: environmentFor(file, identities, options.env),
    input,
    limitMs,
    maximumBytes,
    signal: options.signal,
    fail: (what) =>
      new GranaryError('sops-program-failed', `${path}: ${program} ${what}`, {
        hint: openByHandHint,
        context: { file: path, program },
      }),
  });
  if (code === 0) return stdout;
  stdout.fill(0);
  throw failure(path, file, code);
}

/** Where a plugin is what may open the file, no home folder is given: sops would search it for other keys. */
function environmentFor(
  { metadata }: CredentialFile,
  identities: Identities,
  from: NodeJS.ProcessEnv,
): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(from)) {
    if (value !== undefined && passedOn.test(name)) env[name] = value;
  }
  if (metadata.foreign.length > 0) return env;
  const keys = identities.plugins.map((key) => key.reveal()).join('\n');
  return { ...env, HOME: '/nonexistent', SOPS_AGE_KEY: keys };
}

/** @throws GranaryError `sops-program-missing` */
async function requireProgram(
  path: string,
  file: CredentialFile,
  identities: Identities,
  env: NodeJS.ProcessEnv,
): Promise<string> {
  const program = await findProgram('sops', env);
  if (program !== null) return program;
  const tried = keysInWords(identities);
  const wanted = `${path} is encrypted for ${recipientsOf(file).join(', ')}`;
  throw new GranaryError(
    'sops-program-missing',
    `${wanted}; ${tried === null ? '' : `${tried}, and `}the program \`sops\`, which could open it by ${kindsOf(file)}, is not on the PATH`,
    {
      hint: 'install `sops` where Granary runs, or let somebody who can open the file add an age recipient: .sops.yaml, then `sops updatekeys FILE`',
      context: { file: path, program: 'sops' },
    },
  );
}

const openByHandHint =
  'its own words may hold secrets and are not shown here: `sops decrypt FILE > /dev/null`, as the user that Granary runs as, shows them to you';

function failure(path: string, file: CredentialFile, code: number | null): GranaryError {
  const context = { file: path, exit: code };
  if (code !== null && tamperedCodes.includes(code)) {
    return new GranaryError(
      'sops-tampered',
      `${path}: sops finds that it was changed after it was encrypted (exit ${code})`,
      {
        hint: 'take the file from a commit you trust; if somebody else may have changed it, change the secret itself too',
        context,
      },
    );
  }
  const what =
    code === 128
      ? `sops could open it by none of ${kindsOf(file)}: it is encrypted for ${recipientsOf(file).join(', ')}`
      : `sops failed (${code === null ? 'it was killed' : `exit ${code}`})`;
  return new GranaryError('sops-program-failed', `${path}: ${what}`, { hint: openByHandHint, context });
}

function kindsOf({ metadata }: CredentialFile): string {
  const plugins = metadata.stanzas.filter(({ kind }) => kind === 'age-plugin').map(({ kind }) => kind);
  const kinds = [...metadata.foreign.map(({ kind }) => kind), ...plugins];
  return [...new Set(kinds)].map((kind) => kindInWords[kind as keyof typeof kindInWords]).join(', ');
}

/** The texts in `data` of what the program gave: exactly those that our own reader saw. */
function valuesIn(path: string, file: CredentialFile, stdout: Buffer): Map<string, string> {
  let data: unknown;
  try {
    data = (JSON.parse(stdout.toString('utf8')) as { data?: unknown } | null)?.data;
  } catch {
    // The parser's message quotes what it was given.
    data = null;
  } finally {
    stdout.fill(0);
  }
  const entries = Object.entries((typeof data === 'object' && data) || {}).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string' && entry[1] !== '',
  );
  const values = new Map(entries);
  if (values.size === file.data.size && [...file.data.keys()].every((key) => values.has(key))) return values;
  throw new GranaryError('sops-invalid', `${path}: sops gives other values in \`data\` than the file lists`, {
    hint: 'set the value anew with `sops edit FILE`',
    context: { file: path },
  });
}
