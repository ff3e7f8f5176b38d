/** The documents that a migration starts from: plain data, with the tree and the text behind it. */
import type { Document } from 'yaml';
import type { Diagnostic, Position } from '../../model/config.ts';
import { GranaryError } from '../../model/errors.ts';
import type { ConfigurationFile } from '../files.ts';
import { filledDocuments, type Place, parseFile } from '../parse.ts';

export interface InputDocument {
  readonly file: string;
  /** Of the whole file, which may have other documents too. */
  readonly text: string;
  readonly tree: Document.Parsed;
  readonly value: unknown;
  /** Where the document's part of the text begins and ends; comments between documents belong to the second one. */
  readonly start: number;
  readonly end: number;
  locate(pointer: string, place: Place): Position;
}

/**
 * Reads a file's text.
 * @throws GranaryError `config-invalid` with file, line and column, for the first fault of its YAML
 */
export function readDocuments({ file, text }: ConfigurationFile): InputDocument[] {
  const { documents, faults } = parseFile(file, text);
  const [fault] = faults.flat();
  if (fault !== undefined) throw refused(fault, fault.message, fault.hint);
  const trees = filledDocuments(text);
  return documents.flatMap((document, index) => {
    const tree = trees[index];
    if (tree === undefined) return [];
    const start = index === 0 ? 0 : (trees[index - 1]?.range[2] ?? 0);
    const end = index === documents.length - 1 ? text.length : tree.range[2];
    const { value } = document;
    return [{ file, text, tree, value, start, end, locate: document.locate }];
  });
}

/** Something that cannot be migrated, and where it stands. */
export function refused(
  { file, line, column }: Pick<Diagnostic, 'file' | 'line' | 'column'>,
  message: string,
  hint: string | null,
): GranaryError {
  return new GranaryError('config-invalid', `${file}:${line}:${column}: ${message}`, {
    hint: hint ?? 'nothing was written; mend this first',
    context: { file, line, column },
  });
}
