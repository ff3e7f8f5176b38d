/** What a client asked an S3 server for, in words: `PUT data-….db.zst`. */
export function requestInWords(method: string, url: string): string {
  const { pathname, searchParams } = new URL(url, 'http://store');
  const name = decodeURIComponent(pathname).split('/').slice(2).at(-1) ?? '';
  if (searchParams.has('list-type')) {
    const isSlot = /\/\d{8}T\d{6}Z\/$/.test(searchParams.get('prefix') ?? '');
    return `LIST of the ${isSlot ? 'slot' : 'cluster'}`;
  }
  const step = searchParams.has('uploads')
    ? ' (begin parts)'
    : searchParams.has('partNumber')
      ? ' (part)'
      : searchParams.has('uploadId')
        ? ' (complete parts)'
        : '';
  return `${method} ${name.replace(/[0-9A-HJKMNP-TV-Z]{26}|\d{8}T\d{6}Z/g, '…')}${step}`;
}
