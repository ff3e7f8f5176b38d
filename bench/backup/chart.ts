/** The same as a chart for the documentation: how many times as long as a bare save each row takes, by size. */
import { type BenchResult, megabytes, type SizeResult } from './report.ts';
import type { RowName } from './rows.ts';

const width = 760;
const left = 170;
const right = 60;
const barHeight = 14;
const barStep = 18;
const groupGap = 34;
const top = 64;

/** Short, and without the marks of markdown. */
const labels: Readonly<Record<RowName, string>> = {
  save: 'bare save',
  script: 'script, zstd, MinIO',
  'granary-plain': 'raw, folder',
  'granary-folder': 'zstd, folder',
  'granary-bucket': 'zstd, MinIO',
  'granary-sealed': 'zstd and age, MinIO',
};

/** An SVG that reads on light and on dark pages. */
export function chartOf({ sizes, date, rounds }: BenchResult): string {
  const groups = sizes.map(barsOf);
  const most = Math.max(1.5, ...groups.flatMap((bars) => bars.map(({ times }) => times)));
  const scale = (width - left - right) / most;
  const x = (times: number) => Math.round(left + times * scale);
  const lines: string[] = [];
  let y = top;
  for (const [index, bars] of groups.entries()) {
    const { snapshotBytes = 0 } = sizes[index]?.database ?? {};
    lines.push(text('t', 20, y, megabytes(snapshotBytes)));
    y += 10;
    for (const { label, kind, times } of bars) {
      lines.push(
        text('s', left - 8, y + 11, label, 'end'),
        `<rect class="${kind}" x="${left}" y="${y}" width="${x(times) - left}" height="${barHeight}" rx="2"/>`,
        text('s', x(times) + 6, y + 11, times.toFixed(2)),
      );
      y += barStep;
    }
    y += groupGap - 10;
  }
  const bottom = y - groupGap + 8;
  const base = x(1);
  const words = groups
    .map((bars, index) => {
      const { snapshotBytes = 0 } = sizes[index]?.database ?? {};
      return `${megabytes(snapshotBytes)}: ${bars.map(({ label, times }) => `${label} ${times.toFixed(2)}`).join(', ')}`;
    })
    .join('. ');
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${bottom + 30}" role="img" aria-labelledby="t d">
<title id="t">A backup beside a bare etcdctl snapshot save</title>
<desc id="d">Times as long as a bare save, shorter is better. ${words}.</desc>
<style>
  .t{fill:#1f2328;font-weight:600}.s{fill:#57606a;font-size:12px}.g{fill:#0969da}.o{fill:#8c959f}.l{stroke:#cf222e;stroke-dasharray:4 3}.r{fill:#cf222e;font-size:12px}
  text{font:14px system-ui,sans-serif}
  @media (prefers-color-scheme:dark){.t{fill:#e6edf3}.s{fill:#8b949e}.g{fill:#58a6ff}.o{fill:#6e7681}.l{stroke:#ff7b72}.r{fill:#ff7b72}}
</style>
${text('t', 20, 24, 'Times as long as a bare save (shorter is better)')}
${text('s', 20, 42, `Median of ${rounds} ${rounds === 1 ? 'round' : 'rounds'}, ${date.slice(0, 10)}. Blue: granary backup, proof included. Grey: a script that proves nothing.`)}
${lines.join('\n')}
<path class="l" d="M${base} ${top - 8}V${bottom}"/>${text('r', base, bottom + 16, 'bare save', 'middle')}
</svg>
`;
}

function barsOf({ rows }: SizeResult): { label: string; kind: 'g' | 'o'; times: number }[] {
  return rows.flatMap(({ name, toSave }) =>
    toSave === null
      ? []
      : [{ label: labels[name], kind: name === 'script' ? 'o' : 'g', times: toSave.median }],
  );
}

function text(kind: string, x: number, y: number, words: string, anchor?: 'end' | 'middle'): string {
  const anchored = anchor === undefined ? '' : ` text-anchor="${anchor}"`;
  return `<text class="${kind}" x="${x}" y="${y}"${anchored}>${words}</text>`;
}
