/** Where the faults of a credential file or a `.sops.yaml` are collected. */
import type { LineCounter } from 'yaml';
import type { Diagnostic } from '../model/config.ts';

/** Collects the faults of one file, each at its place. */
export class FaultList {
  readonly faults: Diagnostic[] = [];
  readonly #file: string;
  readonly #lines: LineCounter;
  /** The name in `metadata`, once it is known: faults found before it are given it afterwards. */
  subject: string | null = null;

  constructor(file: string, lines: LineCounter) {
    this.#file = file;
    this.#lines = lines;
  }

  /** Line and column, from 1, of an offset in characters from the start of the file. */
  positionOf(offset: number): { line: number; column: number } {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }

  /** `offset` as in `positionOf`; `pointer` is a JSON pointer. */
  add(code: SopsDiagnosticCode, offset: number, pointer: string, message: string, hint: string | null): void {
    this.faults.push({
      file: this.#file,
      ...this.positionOf(offset),
      severity: 'error',
      code,
      pointer,
      message,
      hint,
      subject: null,
    });
  }

  /** All faults by position, about the credential whose name is known by now. */
  all(): readonly Diagnostic[] {
    const subject = this.subject === null ? null : ({ kind: 'Credential', name: this.subject } as const);
    return this.faults
      .map((fault) => ({ ...fault, subject }))
      .sort((a, b) => a.line - b.line || a.column - b.column);
  }
}

/** Codes of what can be wrong with a credential file or `.sops.yaml`. */
export type SopsDiagnosticCode =
  | 'sops-yaml'
  | 'sops-missing'
  | 'sops-metadata'
  | 'sops-unsupported'
  | 'sops-recipient'
  | 'sops-recipients-differ'
  | 'sops-value'
  | 'sops-plain-part'
  | 'sops-rule'
  | 'plain-secret';
