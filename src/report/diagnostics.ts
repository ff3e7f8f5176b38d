/** Diagnostics as text for people, JSON for programs and annotations for GitHub. */
import type { CheckResult } from '../model/check.ts';
import type { Diagnostic } from '../model/config.ts';
import { checkItems } from './check.ts';
import { annotationLine } from './github.ts';
import { counted, padEnd, paint, printable, type TextOptions, textWidth, wrap } from './text.ts';

export interface DiagnosticsReport {
  readonly diagnostics: readonly Diagnostic[];
  /** How many files were looked at. */
  readonly files: number;
  /** True where places are tried out after it. Default: nothing is contacted. */
  readonly contacted?: boolean;
}

/** Below this there is no room beside the location, and messages stand below it. */
const leastMessageWidth = 40;
/** And there they get at least this, however narrow the terminal is. */
const leastWidthBelow = 20;
const severityWidth = 'warning'.length + 2;

/** One entry each, with its hint and code, and a summary line. */
export function diagnosticsText(report: DiagnosticsReport, options: TextOptions): string {
  const summary = summaryLine(report);
  if (report.diagnostics.length === 0) return `${summary}\n`;
  const entries = report.diagnostics.map((diagnostic) => ({
    diagnostic,
    place: printable(`${diagnostic.file}:${diagnostic.line}:${diagnostic.column}`),
  }));
  const placeWidth = widest(entries.map(({ place }) => textWidth(place))) + 2;
  const codeWidth = widest(report.diagnostics.map(({ code }) => code.length)) + 3;
  const beside = options.width - placeWidth - severityWidth - codeWidth;
  const isBeside = beside >= leastMessageWidth;
  const indent = isBeside ? placeWidth + severityWidth : 4;
  const room = isBeside ? beside : Math.max(leastWidthBelow, options.width - indent - codeWidth);
  const wrapped = entries.map((entry) => ({ ...entry, lines: messageLines(entry.diagnostic, room) }));
  // Codes stand below one another, as near to the texts as these allow.
  const textColumns = Math.min(room, widest(wrapped.flatMap(({ lines }) => lines.map(textWidth))));
  const blocks = wrapped.map(({ diagnostic, place, lines }) => {
    const { severity, code } = diagnostic;
    const head =
      padEnd(place, isBeside ? placeWidth : textWidth(place) + 2) +
      paintSeverity(padEnd(severity, isBeside ? severityWidth : severity.length), severity, options.color);
    const last = lines.length - 1;
    const texts = lines.map((line, index) =>
      index === last ? `${padEnd(line, textColumns)} ${paint('dim', `[${code}]`, options.color)}` : line,
    );
    const body = texts.map((line) => ' '.repeat(indent) + line);
    return isBeside ? [head + (texts[0] ?? ''), ...body.slice(1)].join('\n') : [head, ...body].join('\n');
  });
  return `${blocks.join('\n')}\n\n${summary}\n`;
}

/** As arguments of `Math.max`, those of a whole file of mistakes would be too many. */
function widest(widths: readonly number[]): number {
  return widths.reduce((most, width) => Math.max(most, width), 0);
}

function messageLines({ message, hint }: Diagnostic, width: number): string[] {
  const lines = wrap(printable(message), width);
  return hint === null ? lines : [...lines, ...wrap(`hint: ${printable(hint)}`, width)];
}

function paintSeverity(text: string, severity: Diagnostic['severity'], color: boolean | undefined): string {
  return paint(severity === 'error' ? 'red' : 'yellow', text, color);
}

/** `2 errors, 1 warning in 41 files. Nothing was contacted.` */
function summaryLine({ diagnostics, files, contacted = false }: DiagnosticsReport): string {
  const errors = diagnostics.filter(({ severity }) => severity === 'error').length;
  const warnings = diagnostics.length - errors;
  const found = [
    ...(errors > 0 ? [counted(errors, 'error')] : []),
    ...(warnings > 0 ? [counted(warnings, 'warning')] : []),
  ];
  const what = found.length === 0 ? 'No errors, no warnings' : found.join(', ');
  return `${what} in ${counted(files, 'file')}.${contacted ? '' : ' Nothing was contacted.'}`;
}

/**
 * `{valid, diagnostics[{severity, code, file, line, column, pointer, message, hint}]}`; warnings leave it valid.
 * @param checks results of trying places out, as `checks` beside them; null: they were not tried
 */
export function diagnosticsJson(
  { diagnostics }: DiagnosticsReport,
  checks: readonly CheckResult[] | null = null,
): string {
  const valid = diagnostics.every(({ severity }) => severity !== 'error');
  const items = diagnostics.map(({ severity, code, file, line, column, pointer, message, hint }) => ({
    severity,
    code,
    file,
    line,
    column,
    pointer,
    message,
    hint,
  }));
  const tried = checks === null ? {} : { checks: checkItems(checks) };
  return `${JSON.stringify({ valid, diagnostics: items, ...tried }, null, 2)}\n`;
}

/** Annotations for GitHub Actions, one line each, and the summary. */
export function diagnosticsGithub(report: DiagnosticsReport): string {
  const lines = report.diagnostics.map((one) => {
    const { severity, code, message, hint } = one;
    const text = hint === null ? message : `${message}\nhint: ${hint}`;
    return annotationLine({ level: severity, title: code, text, at: one });
  });
  return `${[...lines, summaryLine(report)].join('\n')}\n`;
}
