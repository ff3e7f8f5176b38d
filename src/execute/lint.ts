import { readFile } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import { loadConfiguration } from '../config/index.ts';
import type { Configuration, Diagnostic } from '../model/config.ts';
import { GranaryError } from '../model/errors.ts';
import { lintCredentialFile } from '../secrets/credential-file.ts';
import { findSopsRules, lintSopsRules } from '../secrets/sops-rules.ts';

/** Files open at once. */
const readAtOnce = 16;

/**
 * The configuration below a folder, with everything about it checked that can be without a private key: its files,
 * how they fit together, and how its credential files are encrypted.
 * @throws GranaryError `config-not-found` where there is no file at all: a wrong path, and not the wish that nothing be
 *   backed up; faults of the content are in `diagnostics`
 */
export async function loadChecked(root: string): Promise<Configuration> {
  const configuration = await loadConfiguration(root);
  if (configuration.files === 0) throw nothingThere(root);
  const known = new Set(configuration.diagnostics.map(placeOf));
  // The reader of secrets is strict on its own, and so sees some of the same faults: they are told once.
  const found = (await lintCredentials(root, configuration)).filter((one) => !known.has(placeOf(one)));
  if (found.length === 0) return configuration;
  const diagnostics = [...configuration.diagnostics, ...found].toSorted(errorsFirst);
  return { ...configuration, diagnostics };
}

function nothingThere(root: string): GranaryError {
  return new GranaryError(
    'config-not-found',
    `there is no configuration in ${root}: no *.yaml or *.yml file`,
    {
      hint: 'give its folder with --path, or its repository and branch with --repo and --ref',
      context: { path: root },
    },
  );
}

async function lintCredentials(root: string, { credentials }: Configuration): Promise<Diagnostic[]> {
  if (credentials.length === 0) return [];
  const found = await findSopsRules(resolve(root));
  const pathInRules = (file: string) =>
    relative(found?.folder ?? root, resolve(root, file))
      .split(sep)
      .join('/');
  const diagnostics: Diagnostic[] = [];
  const files = credentials.map(({ position }) => position.file);
  if (found !== null) diagnostics.push(...lintSopsRules(found.rules, files.map(pathInRules)));
  for (let start = 0; start < files.length; start += readAtOnce) {
    const batch = files.slice(start, start + readAtOnce);
    const texts = await Promise.all(batch.map((file) => readFile(join(root, file), 'utf8')));
    for (const [index, file] of batch.entries()) {
      const recipients = found?.rules.ruleFor(pathInRules(file))?.recipients ?? null;
      diagnostics.push(...lintCredentialFile({ file, text: texts[index] ?? '', recipients }));
    }
  }
  return diagnostics;
}

function placeOf({ file, line, column }: Diagnostic): string {
  return `${file}:${line}:${column}`;
}

/** Errors first, then by file and position: the order in which `Configuration` has them. */
function errorsFirst(a: Diagnostic, b: Diagnostic): number {
  const rank = ({ severity }: Diagnostic) => (severity === 'error' ? 0 : 1);
  if (rank(a) !== rank(b)) return rank(a) - rank(b);
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.line - b.line || a.column - b.column;
}
