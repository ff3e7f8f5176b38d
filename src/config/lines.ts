/** Lines and columns of offsets in a text. */

/**
 * Gives line and column, both from 1, of an offset. The line counter of `yaml` is not used: the parser tells it some
 * line ends late where the text is faulty, and then positions are wrong (seen with yaml 2.9.1).
 */
export function lineTable(text: string): (offset: number) => { line: number; column: number } {
  const starts = [0];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return (offset) => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
  };
}
