/** The page of licences that goes with the built program: it holds the code of many packages. */
import type { Package } from './packages.ts';

const opening = `Granary is built with the packages below, whose code is part of its program.
Each is listed with its version, its licence and where it comes from; the texts of the licences follow.
`;

/** One text stands for all packages that have it, so that the same licence is not told a hundred times. */
export function noticesText(packages: readonly Package[]): string {
  const byText = Map.groupBy(
    packages.flatMap((one) => one.notices.map((text) => ({ one, text }))),
    ({ text }) => text,
  );
  const texts = [...byText].map(
    ([text, of]) => `${of.map(({ one }) => `${one.name} ${one.version}`).join('\n')}\n\n${text}\n`,
  );
  return [opening, `${packages.map(line).join('\n')}\n`, ...texts].join(`\n${'-'.repeat(80)}\n\n`);
}

function line({ name, version, license, home, author, notices }: Package): string {
  const origin = [home, notices.length === 0 ? author : null].filter((one) => one !== null);
  return [`${name} ${version}`, license, ...origin].join(', ');
}
