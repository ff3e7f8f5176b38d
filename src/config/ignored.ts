/** `.granaryignore`: files that are no configuration though their names say so, in gitignore's syntax. */
import ignore from 'ignore';

export const ignoreFileName = '.granaryignore';

/** Says of a path, relative to the root, whether it is left out. Folders are asked about before what is in them. */
export type IsIgnored = (file: string, isFolder: boolean) => boolean;

export const nothingIgnored: IsIgnored = () => false;

/**
 * What holds in a folder that has such a file: its patterns are relative to it, and add to what `outer` leaves out.
 * @param folder relative to the root; empty: the root itself
 */
export function ignoredBelow(folder: string, patterns: string, outer: IsIgnored): IsIgnored {
  const matcher = ignore().add(patterns);
  const prefix = folder === '' ? '' : `${folder}/`;
  return (file, isFolder) => {
    if (outer(file, isFolder)) return true;
    const own = file.slice(prefix.length);
    // What ends with a slash in a pattern matches folders only.
    return matcher.ignores(isFolder ? `${own}/` : own);
  };
}
