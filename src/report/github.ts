/**
 * Workflow commands of GitHub Actions. What stands in files cannot begin a command of its own:
 * https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts has the escapes.
 */
import type { Position } from '../model/config.ts';

export interface Annotation {
  readonly level: 'error' | 'warning' | 'notice';
  readonly title: string;
  readonly text: string;
  /** Where it stands; null: on no line. */
  readonly at: Position | null;
}

/** One line for the log, which GitHub shows beside the line of the file. */
export function annotationLine({ level, title, text, at }: Annotation): string {
  const place = at === null ? '' : `file=${escapeProperty(at.file)},line=${at.line},col=${at.column},`;
  return `::${level} ${place}title=${escapeProperty(title)}::${escapeData(text)}`;
}

function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}
