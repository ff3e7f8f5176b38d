/** Finds YAML that is nested too deeply, before it is composed. */

/** Deeper than any kind goes. */
export const maxDepth = 64;
/** A line of structure that begins further right belongs to nothing a person wrote. */
const maxIndent = 256;

/**
 * The offset where a text goes too deep; undefined where it does not.
 * @param lexemes the text as the lexer of `yaml` cuts it
 *
 * The composer of `yaml` recurses, and where a key is itself a nested collection it turns it into text at every
 * level: 300 KB of `{` take minutes, 800 KB of `? ` all memory. The lexer is flat and linear.
 */
export function tooDeepAt(lexemes: readonly string[]): number | undefined {
  let offset = 0;
  let flowDepth = 0;
  let indicators = 0;
  let isLineStart = true;
  let isScalar = false;
  for (const token of lexemes) {
    if (isScalar) {
      isScalar = false;
    } else if (token === scalarMark) {
      isScalar = true;
      continue;
    } else if (controlMarks.has(token)) {
      continue;
    } else if (token === '\n' || token === '\r\n') {
      indicators = 0;
      isLineStart = true;
      offset += token.length;
      continue;
    } else if (token === '[' || token === '{') flowDepth += 1;
    else if (token === ']' || token === '}') flowDepth = Math.max(0, flowDepth - 1);
    else if (flowDepth === 0 && (token === '-' || token === '?' || token === ':')) indicators += 1;
    else if (isLineStart && token.trim() === '' && token.length > maxIndent) return offset;
    if (flowDepth > maxDepth || indicators > maxDepth) return offset;
    isLineStart = false;
    offset += token.length;
  }
  return undefined;
}

// What the lexer puts between the pieces of the text: they stand for nothing in it.
const scalarMark = '\u001f';
const controlMarks = new Set(['\u0002', '\u0018']);
