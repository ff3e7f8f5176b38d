/** What still works and has a better successor. */
import { backupName } from '../../model/names.ts';
import { backupPointer } from '../deprecated.ts';
import { quoted } from '../words.ts';
import type { Rule } from './context.ts';

/** Kubermatic's single bucket for a seed: it works, `migrate` rewrites it. */
export const deprecatedBackupsAreSaid: Rule = ({ seeds, sources, report }) => {
  for (const { object, written, source } of seeds) {
    if (written.spec.backup === undefined) continue;
    const name = backupName(object.name);
    report(source, backupPointer, {
      code: 'deprecated-backup',
      severity: 'warning',
      place: 'key',
      message: '`backup:` with one bucket and endpoint is deprecated; it still works',
      hint: `\`granary migrate\` writes the Destination ${quoted(name)} for it, with the same bucket`,
    });
    for (const kind of ['Destination', 'Policy'] as const) {
      if (!sources.some((other) => other.kind === kind && other.name === name)) continue;
      report(source, backupPointer, {
        code: 'duplicate-name',
        place: 'key',
        message: `\`backup:\` stands for a ${kind} named ${quoted(name)}, and there is another one of that name`,
        hint: 'remove `backup:` where that one has taken its place, or rename it',
      });
    }
  }
};
