/** The rules of `.sops.yaml` for files that a command names. */
import { relative, resolve, sep } from 'node:path';
import type { Diagnostic } from '../model/config.ts';
import { findSopsRules, lintSopsRules } from '../secrets/sops-rules.ts';

export interface Rules {
  /** Of the rules themselves, and files that none of them is for. */
  readonly diagnostics: readonly Diagnostic[];
  /** null where no rule tells. */
  recipientsOf(file: string): readonly string[] | null;
}

/**
 * @param files as they were named
 * @param folder where `.sops.yaml` is searched, and above it
 * @throws GranaryError `file-unreadable`
 */
export async function rulesFor(files: readonly string[], folder: string): Promise<Rules> {
  const found = await findSopsRules(folder);
  if (found === null) return { diagnostics: [noRules(folder)], recipientsOf: () => null };
  const pathOf = (file: string) => relative(found.folder, resolve(file)).split(sep).join('/');
  return {
    diagnostics: lintSopsRules(found.rules, files.map(pathOf)),
    recipientsOf: (file) => found.rules.ruleFor(pathOf(file))?.recipients ?? null,
  };
}

function noRules(folder: string): Diagnostic {
  return {
    ...{ file: '.sops.yaml', line: 1, column: 1, severity: 'warning', code: 'sops-rule', pointer: '' },
    message: `there is no .sops.yaml in ${resolve(folder)}, so recipients cannot be compared with a rule`,
    hint: 'run this in the folder of the configuration, or name that with --path',
    subject: null,
  };
}
