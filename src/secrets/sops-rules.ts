/** `.sops.yaml`: which recipients a new file would be encrypted for (reference "SOPS files", Linting without a key). */
import { access } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import vm from 'node:vm';
import { isMap, isSeq, LineCounter, parseDocument, type YAMLMap } from 'yaml';
import { maxFileBytes, readSmallFile } from '../config/files.ts';
import type { Diagnostic } from '../model/config.ts';
import { GranaryError } from '../model/errors.ts';
import { formatBytes } from '../model/units.ts';
import { FaultList } from './faults.ts';
import { foreignKeysOfRule } from './foreign-keys.ts';
import { readSopsRecipient, shownRecipient } from './recipients.ts';
import { duplicateKeys, entriesOf, offsetOf } from './sops-yaml.ts';

export interface SopsRule {
  /** From 1, in `.sops.yaml`. */
  readonly line: number;
  /** As written; null matches every path. */
  readonly pathRegex: string | null;
  /** Whom it names: age recipients, SSH keys, and keys of other kinds as `ForeignKey` names them; null for several groups. */
  readonly recipients: readonly string[] | null;
  /** As written. */
  readonly encryptedRegex: string | null;
  /** What is wrong with it for a credential. */
  readonly faults: readonly Diagnostic[];
}

export interface SopsRules {
  /** Path of the `.sops.yaml`, for messages. */
  readonly file: string;
  readonly rules: readonly SopsRule[];
  /** Faults of the file as a whole; those of a rule are with it. */
  readonly faults: readonly Diagnostic[];
  /** The first rule that matches a path (with `/`, relative to the folder of `.sops.yaml`); null where none does. */
  ruleFor(path: string): SopsRule | null;
}

/**
 * Finds `.sops.yaml` in `folder` or above it, as sops does from its working directory, but only up to the top of the
 * Git work tree; outside of one only in `folder` itself, so that a stray file of somebody else is never taken.
 * null where there is none; `file-unreadable` where it cannot be read. Its path in messages is relative to `folder`.
 */
export async function findSopsRules(folder: string): Promise<{ rules: SopsRules; folder: string } | null> {
  const start = resolve(folder);
  const top = await topOfWorkTree(start);
  for (let at = start; ; at = dirname(at)) {
    const path = join(at, '.sops.yaml');
    const text = await readIfThere(path);
    if (text !== null) return { rules: parseSopsRules(text, relative(start, path)), folder: at };
    if (at === top) return null;
  }
}

/** The nearest folder with a `.git`, from `folder` upward; `folder` itself where there is none. */
async function topOfWorkTree(folder: string): Promise<string> {
  for (let at = folder; ; at = dirname(at)) {
    if (await isThere(join(at, '.git'))) return at;
    if (dirname(at) === at) return folder;
  }
}

/** Reads the rules. Never throws: what is wrong is in `faults`. No private key is in any of them. */
export function parseSopsRules(text: string, file: string): SopsRules {
  const lines = new LineCounter();
  const faults = new FaultList(file, lines);
  const rules: SopsRule[] = [];
  const finish = (): SopsRules => ({ file, rules, faults: faults.all(), ruleFor: matcher(rules) });
  const fail = (offset: number, message: string, hint: string) =>
    faults.add('sops-rule', offset, '', message, hint);

  let root: unknown;
  let document: ReturnType<typeof parseDocument>;
  try {
    document = parseDocument(text, {
      lineCounter: lines,
      merge: true,
      // The library compares every key with every other one.
      uniqueKeys: false,
      prettyErrors: false,
      logLevel: 'silent',
    });
    for (const error of document.errors) {
      const what = error.code.toLowerCase().replaceAll('_', ' ');
      fail(error.pos[0], `.sops.yaml is not valid YAML (${what})`, 'mend the YAML');
    }
    const [twice] = document.contents === null ? [] : duplicateKeys(document.contents);
    if (twice !== undefined)
      fail(offsetOf(twice), '.sops.yaml has a key twice in the same map', 'remove one of both');
    if (document.errors.length > 0 || twice !== undefined) return finish();
    root = document.toJS({ maxAliasCount: 1000 });
  } catch {
    fail(0, '.sops.yaml cannot be read', 'are aliases or nesting exploding in it?');
    return finish();
  }
  const written = (root as { creation_rules?: unknown } | null)?.creation_rules;
  const nodes = isMap(document.contents)
    ? entriesOf(document.contents as YAMLMap).find((entry) => entry.key === 'creation_rules')?.value
    : null;
  if (!Array.isArray(written) || !isSeq(nodes)) {
    fail(0, '.sops.yaml has no list `creation_rules`', '`granary init DIR` writes one that fits');
    return finish();
  }
  for (const [index, rule] of written.entries()) {
    rules.push(readRule(rule, offsetOf(nodes.items[index]), file, lines));
  }
  return finish();
}

/**
 * What is wrong with the rules that the given credential files fall under, each rule told once, and which files fall
 * under none. Paths are relative to the folder of `.sops.yaml`.
 */
export function lintSopsRules(rules: SopsRules, paths: readonly string[]): Diagnostic[] {
  const found = new Set<Diagnostic>(rules.faults);
  for (const path of paths) {
    const rule = rules.ruleFor(path);
    for (const fault of rule?.faults ?? []) found.add(fault);
    if (rule !== null || rules.faults.length > 0) continue;
    found.add({
      ...{
        file: rules.file,
        line: 1,
        column: 1,
        severity: 'warning',
        code: 'sops-rule',
        pointer: '/creation_rules',
      },
      message: `no rule matches ${path}, so its recipients cannot be compared`,
      hint: 'add a rule whose path_regex matches it, with `encrypted_regex: ^data$` and `age`',
      subject: null,
    });
  }
  return [...found];
}

function readRule(written: unknown, offset: number, file: string, lines: LineCounter): SopsRule {
  const faults = new FaultList(file, lines);
  const fail = (message: string, hint: string) =>
    faults.add('sops-rule', offset, '/creation_rules', message, hint);
  const rule = (typeof written === 'object' && written !== null ? written : {}) as Record<string, unknown>;
  const textField = (name: string) => {
    const value = rule[name];
    return typeof value === 'string' && value !== '' ? value : null;
  };

  let source: Record<string, unknown> = rule;
  const groups = rule.key_groups;
  if (Array.isArray(groups) && groups.length === 1 && typeof groups[0] === 'object' && groups[0] !== null) {
    source = groups[0] as Record<string, unknown>;
  }
  const severalGroups = groups !== undefined && source === rule;
  const recipients = foreignKeysOfRule(source);
  if (severalGroups) fail('key groups (Shamir) are not supported', 'give one flat list of `age` recipients');
  for (const written of ageList(source.age)) {
    const read = readSopsRecipient(written);
    if (typeof read !== 'string') recipients.push(read.recipient);
    else fail(`${shownRecipient(written)} ${read}`, 'correct it, then `sops updatekeys FILE`');
  }
  if (recipients.length === 0 && !severalGroups && faults.faults.length === 0)
    fail('the rule names no age recipient', 'give `age: age1…`');
  const encryptedRegex = textField('encrypted_regex');
  if (encryptedRegex !== '^data$') {
    // A regex that matches nothing encrypts nothing, and sops ends with success.
    fail(
      'the rule for a credential needs `encrypted_regex: ^data$`',
      'write exactly that: it is what Granary opens',
    );
  }
  if (rule.mac_only_encrypted === true) {
    fail('mac_only_encrypted leaves the plain part unprotected', 'remove it, and encrypt the files again');
  }
  const pathRegex = textField('path_regex');
  if (pathRegex !== null && translateRegex(pathRegex) === null) {
    fail('path_regex is no regular expression that both sops and Granary understand', 'use a simpler one');
  }
  return {
    line: faults.positionOf(offset).line,
    pathRegex,
    recipients: severalGroups ? null : [...new Set(recipients)],
    encryptedRegex,
    faults: faults.all(),
  };
}

/** `age` as sops takes it: one text, several with commas, or a list of either. */
function ageList(value: unknown): string[] {
  const texts = Array.isArray(value) ? value : [value];
  const found = texts.flatMap((text) => (typeof text === 'string' ? text.split(',') : []));
  return [...new Set(found.map((text) => text.trim()).filter((text) => text !== ''))];
}

/** RE2 as JavaScript where both mean the same; null where not. Leading flags `(?i)` and `(?s)` are carried over. */
function translateRegex(pattern: string): RegExp | null {
  const flags = /^\(\?([is]+)\)/.exec(pattern);
  const body = flags === null ? pattern : pattern.slice(flags[0].length);
  // Groups that look around or have names or flags, references back, \A \z \Q \p, POSIX classes: one of both lacks them.
  if (/\(\?(?!:)|\\[1-9AzQECpPx]|\[\[:/.test(body)) return null;
  try {
    return new RegExp(body, [...new Set(flags?.[1] ?? '')].join(''));
  } catch {
    return null;
  }
}

/** Longest time that matching one path may take: JavaScript's expressions can be made to run for ever, RE2 cannot. */
const matchTimeoutMs = 500;
/** After so many paths that took too long no other is tried: there may be thousands. */
const mostTimeouts = 4;

function matcher(rules: readonly SopsRule[]): (path: string) => SopsRule | null {
  const expressions = rules.map((rule) => (rule.pathRegex === null ? /^/ : translateRegex(rule.pathRegex)));
  let match: ((path: string) => number) | null = null;
  let timeouts = 0;
  const prepare = () => {
    const context = vm.createContext({ expressions, path: '' });
    const script = new vm.Script('expressions.findIndex((each) => each === null || each.test(path))');
    return (path: string) => {
      context.path = path;
      return Number(script.runInContext(context, { timeout: matchTimeoutMs }));
    };
  };
  return (path) => {
    if (timeouts >= mostTimeouts) return null;
    match ??= prepare();
    try {
      // A rule that could not be understood matches here, so that no later rule is taken for the one sops would use.
      return rules[match(path)] ?? null;
    } catch {
      timeouts += 1;
      return null;
    }
  };
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    const text = await readSmallFile(path, maxFileBytes);
    if (text !== null) return text;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new GranaryError('file-unreadable', `${path} cannot be read (${code ?? 'unknown error'})`, {
      hint: 'make it readable, or remove it',
      context: { file: path },
    });
  }
  const most = formatBytes(maxFileBytes);
  throw new GranaryError('file-unreadable', `${path} cannot be read (it is no file of at most ${most})`, {
    hint: 'make it readable, or remove it',
    context: { file: path },
  });
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
