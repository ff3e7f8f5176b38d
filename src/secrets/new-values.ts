/** New values for a credential, from files: never from the command line, which others can see. */
import { parseDocument } from 'yaml';
import { GranaryError } from '../model/errors.ts';
import { Secret } from './secret.ts';

const name = /^[A-Za-z0-9._-]{1,64}$/;

/**
 * The value of a file that holds nothing else. One line loses its end, which an editor has put there; several, as in a
 * certificate, stay as they are.
 * @param key its name in `data`, for messages
 * @throws GranaryError `usage`
 */
export function valueOfFile(key: string, content: string): Secret {
  const [line = ''] = /^[^\r\n]*(?=\r?\n?$)/.exec(content) ?? [content];
  return new Secret(requireValue(key, line === '' && content.trim() !== '' ? content : line));
}

/**
 * The values of a YAML or JSON file: one map, each entry a name in `data` and a text. Nothing of it is in any message
 * but names.
 * @throws GranaryError `usage`
 */
export function valuesOfDocument(content: string): Map<string, Secret> {
  const refuse = (what: string) =>
    new GranaryError('usage', `the file of new values ${what}`, {
      hint: 'one `name: value` a line, in YAML, or a JSON object; numbers count as text',
    });
  let written: unknown;
  try {
    const document = parseDocument(content, {
      schema: 'failsafe',
      prettyErrors: false,
      logLevel: 'silent',
    });
    // The parser's own words quote the line.
    if (document.errors.length > 0) throw refuse('is not valid YAML');
    written = document.toJS({ maxAliasCount: 0 });
  } catch (error) {
    throw error instanceof GranaryError ? error : refuse('cannot be read');
  }
  if (typeof written !== 'object' || written === null || Array.isArray(written))
    throw refuse('holds no map of names and values');
  const values = new Map<string, Secret>();
  for (const [key, value] of Object.entries(written)) {
    if (typeof value !== 'string') {
      throw refuse(`holds something else than a text for ${name.test(key) ? key : 'a name'}`);
    }
    values.set(requireName(key), new Secret(requireValue(key, value)));
  }
  if (values.size === 0) throw refuse('holds no value');
  return values;
}

/** @throws GranaryError `usage`; what was given is not in it, for it may be the secret itself */
export function requireName(key: string): string {
  if (name.test(key)) return key;
  throw new GranaryError('usage', 'a name in `data` has only letters, digits, dots, dashes and underscores', {
    hint: '`granary explain Credential` lists the names of each type',
  });
}

function requireValue(key: string, value: string): string {
  if (value !== '') return value;
  throw new GranaryError('usage', `the new value of ${key} is empty`, {
    hint: 'SOPS does not protect an empty value; to take a name out, use `sops unset FILE`',
  });
}
