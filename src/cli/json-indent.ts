/** JSON indented without reading its values: a number that JavaScript would round stays as it was written. */

const token = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s"{}[\],:]+/gs;

/** @param json valid JSON */
export function indentJson(json: string): string {
  const tokens = json.match(token) ?? [];
  let depth = 0;
  let text = '';
  tokens.forEach((part, index) => {
    const before = tokens[index - 1] ?? '';
    const isEnd = part === '}' || part === ']';
    if (isEnd) depth -= 1;
    const isEmpty = isEnd && (before === '{' || before === '[');
    const opened = before === '{' || before === '[' || before === ',';
    if ((opened || isEnd) && !isEmpty) text += `\n${'  '.repeat(depth)}`;
    text += part === ':' ? ': ' : part;
    if (part === '{' || part === '[') depth += 1;
  });
  return text;
}
