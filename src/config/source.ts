/** A document of the configuration on its way from YAML to an object. */
import type { Diagnostic, Kind, Position, Severity } from '../model/config.ts';
import { printable } from '../model/printable.ts';
import type { DiagnosticCode } from './codes.ts';
import { explain, type Fault } from './faults.ts';
import type { ParsedDocument, Place } from './parse.ts';
import { pointersTouch, valueAt } from './pointer.ts';
import { prune } from './prune.ts';
import { schemaErrors } from './schemas.ts';
import { nearest, oneOfWords, quoted } from './words.ts';

export const kinds: readonly Kind[] = ['Seed', 'Destination', 'Credential', 'Policy', 'Repository'];

/** Who generates more than this has one mistake, not thousands. */
const maxFaults = 100;

/** What a cross rule has to say; the position is given with it. */
export interface Finding {
  readonly code: DiagnosticCode;
  /** Default `error`. */
  readonly severity?: Severity;
  readonly message: string;
  readonly hint?: string | null;
  /** Default `value`. */
  readonly place?: Place;
}

export interface Source {
  readonly file: string;
  readonly kind: Kind;
  /** null where it has none, or none that can be read. */
  readonly name: string | null;
  /** How many documents the file has. */
  readonly siblings: number;
  /** Valid by the schema of its kind, after faulty parts were taken out; undefined where nothing is left. */
  readonly value: unknown;
  /** True where something was wrong with it by itself. */
  readonly faulty: boolean;
  /** Pointers are those of `value`. */
  locate(pointer: string, place: Place): Position;
  /** A finding at a pointer of `value`; null where it only follows from a fault that the schema found. */
  diagnose(pointer: string, finding: Finding): Diagnostic | null;
}

export interface ReadSource {
  /** null where not even the kind is known. */
  readonly source: Source | null;
  readonly diagnostics: readonly Diagnostic[];
}

/** Checks one document by its schema. `yamlFaults` are those that parsing found in it. */
export function readSource(
  document: ParsedDocument,
  yamlFaults: readonly Omit<Diagnostic, 'subject'>[],
): ReadSource {
  const identity = identify(document.value);
  const faults = document.broken ? [] : documentFaults(document.value, identity.kind);
  const pruned =
    identity.kind === null || document.broken
      ? undefined
      : faults.length === 0
        ? { value: document.value, originalPointer: (pointer: string) => pointer }
        : prune(identity.kind, document.value);
  const kind = identity.kind ?? identity.meantKind;
  const subject = kind === null || identity.name === null ? null : { kind, name: identity.name };
  const original = pruned?.originalPointer ?? ((pointer: string) => pointer);

  const toDiagnostic = (fault: Fault): Diagnostic => ({
    severity: 'error',
    code: fault.code,
    ...document.locate(fault.pointer, fault.place),
    pointer: fault.pointer,
    message: fault.message,
    hint: fault.hint,
    subject,
  });
  const diagnostics = capped([
    ...yamlFaults.map((fault) => ({ ...fault, subject })),
    ...faults.map(toDiagnostic),
  ]).map(inPrint);
  if (kind === null) return { source: null, diagnostics };
  const source: Source = {
    file: document.file,
    kind,
    name: identity.name,
    siblings: document.siblings,
    value: pruned?.value,
    faulty: diagnostics.length > 0,
    locate: (pointer, place) => document.locate(original(pointer), place),
    diagnose: (pointer, { severity = 'error', place = 'value', hint = null, code, message }) => {
      const written = original(pointer);
      if (faults.some((fault) => pointersTouch(fault.pointer, written) && fault.pointer !== '')) return null;
      const position = document.locate(written, place);
      return inPrint({ severity, code, ...position, pointer: written, message, hint, subject });
    },
  };
  return { source, diagnostics };
}

/** Words from a file stand in messages: whoever shows these, in whatever form, need not fear them. */
function inPrint(diagnostic: Diagnostic): Diagnostic {
  const { message, hint } = diagnostic;
  return { ...diagnostic, message: printable(message), hint: hint === null ? null : printable(hint) };
}

interface Identity {
  readonly kind: Kind | null;
  /** The kind that a misspelt one probably is. */
  readonly meantKind: Kind | null;
  readonly name: string | null;
}

function identify(value: unknown): Identity {
  const kind = valueAt(value, '/kind');
  const name = valueAt(value, '/metadata/name');
  const known = kinds.find((one) => one === kind) ?? null;
  const meant = known === null && typeof kind === 'string' ? nearest(kind, kinds) : undefined;
  return {
    kind: known,
    meantKind: known === null ? (kinds.find((one) => one === meant) ?? null) : null,
    name: typeof name === 'string' ? name : null,
  };
}

function documentFaults(value: unknown, kind: Kind | null): Fault[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return [
      {
        code: 'not-a-mapping',
        pointer: '',
        place: 'value',
        message: 'the document is no mapping',
        hint: 'every document has `apiVersion`, `kind`, `metadata` and `spec`',
      },
    ];
  }
  if (kind === null) return [kindFault(Reflect.get(value, 'kind'))];
  // `kind` decides by which schema the rest is judged, so it is right by now.
  return explain(kind, value, schemaErrors(kind.toLowerCase(), value).slice(0, maxFaults * 10));
}

function kindFault(kind: unknown): Fault {
  if (kind === undefined || kind === null) {
    return {
      code: 'missing-field',
      pointer: '',
      place: 'value',
      message: '`kind` is missing',
      hint: `${oneOfWords(kinds)}; every *.yaml file here is configuration, hidden folders aside`,
    };
  }
  const meant = typeof kind === 'string' ? nearest(kind, kinds) : undefined;
  return {
    code: 'unknown-kind',
    pointer: '/kind',
    place: 'value',
    message: typeof kind === 'string' ? `unknown kind ${quoted(kind)}` : '`kind` must be a text',
    hint: meant === undefined ? `known are ${kinds.join(', ')}` : `did you mean ${quoted(meant)}?`,
  };
}

function capped(diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  if (diagnostics.length <= maxFaults) return diagnostics;
  const shown = diagnostics.slice(0, maxFaults - 1);
  const next = diagnostics[maxFaults - 1];
  if (next === undefined) return shown;
  const rest = {
    ...next,
    code: 'too-many-faults',
    message: 'more faults in this document are not shown',
    hint: 'mend the ones above first',
  };
  return [...shown, rest];
}
