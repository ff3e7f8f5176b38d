/** JSON pointers (RFC 6901) and how people read them. */

export function pointerTokens(pointer: string): string[] {
  if (pointer === '') return [];
  return pointer
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** The pointer of a field or list item below `pointer`. */
export function childPointer(pointer: string, ...tokens: (string | number)[]): string {
  let child = pointer;
  for (const token of tokens) {
    child += `/${typeof token === 'number' ? token : token.replaceAll('~', '~0').replaceAll('/', '~1')}`;
  }
  return child;
}

export function parentPointer(pointer: string): string {
  return pointer.slice(0, Math.max(0, pointer.lastIndexOf('/')));
}

/** True where one of both stands at, above or below the other. */
export function pointersTouch(a: string, b: string): boolean {
  return a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`);
}

/** `/spec/clusters/0/tls` as people say it: `clusters[0].tls`. `spec` is understood. */
export function fieldPath(pointer: string): string {
  const tokens = pointerTokens(pointer);
  const shown = tokens[0] === 'spec' && tokens.length > 1 ? tokens.slice(1) : tokens;
  return shown
    .map((token, index) => (/^\d+$/.test(token) ? `[${token}]` : index === 0 ? token : `.${token}`))
    .join('');
}

/** What stands at a pointer in plain data; undefined where nothing does. */
export function valueAt(root: unknown, pointer: string): unknown {
  let value = root;
  for (const token of pointerTokens(pointer)) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, token)) return undefined;
    value = (value as Record<string, unknown>)[token];
  }
  return value;
}
