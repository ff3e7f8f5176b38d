/** The pages: every link leads somewhere, every command can be typed, and what is generated is up to date. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { generatedPages, stalePages } from '../../build/docs.ts';
import { granaryWords, parseFault } from '../cli/program.ts';
import { committedFiles, root } from '../house/repository.ts';

const pages = committedFiles().filter((path) => path.endsWith('.md'));
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const withoutBlocks = (text: string) => text.replace(/^```[\s\S]*?^```$/gm, '');

/** As GitHub makes them of headings; the second of two equal ones gets `-1`. */
function anchorsOf(text: string): Set<string> {
  const seen = new Map<string, number>();
  const anchors = [...withoutBlocks(text).matchAll(/^#{1,6} +(.+)$/gm)].map(([, title = '']) => {
    const plain = title.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1');
    const anchor = plain
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replace(/\s/g, '-');
    const times = seen.get(anchor) ?? 0;
    seen.set(anchor, times + 1);
    return times === 0 ? anchor : `${anchor}-${times}`;
  });
  return new Set(anchors);
}

function brokenLinks(path: string, text: string): string[] {
  const links = [...withoutBlocks(text).matchAll(/\]\(<?([^)>\s]+)>?\)/g)].map(([, link = '']) => link);
  return links
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => {
      const [file = '', anchor] = link.split('#');
      const target = file === '' ? path : normalize(join(dirname(path), file));
      if (!existsSync(join(root, target))) return true;
      if (anchor === undefined) return false;
      return statSync(join(root, target)).isDirectory() || !anchorsOf(read(target)).has(anchor);
    });
}

/** Lines of code blocks that run `granary`; a prompt, and lines that go on after `\`, are read as a shell does. */
function commandLines(text: string): string[] {
  const blocks = [...text.matchAll(/^```(\w*)[^\n]*\n([\s\S]*?)^```$/gm)];
  return blocks
    .filter(([, language = '']) => ['', 'sh', 'bash', 'shell', 'console', 'text'].includes(language))
    .flatMap(([, , block = '']) => block.replace(/ ?\\\n\s*/g, ' ').split('\n'))
    .filter((line) => /^(\$ |sudo )?granary |\| granary /.test(line.trim()));
}

describe('links', () => {
  test.each(pages)('of %s lead somewhere', (path) => {
    expect(brokenLinks(path, read(path))).toEqual([]);
  });

  test('that lead nowhere are found', () => {
    const text =
      '# One two\n[a](#try-it) [b](#three) [c](docs/none.md) [d](README.md#none) [e](https://x.example)\n';
    expect(brokenLinks('README.md', text)).toEqual(['#three', 'docs/none.md', 'README.md#none']);
  });
});

describe('commands', () => {
  const told = pages.filter((path) => !path.startsWith('docs/decisions/') && path !== 'CHANGELOG.md');
  const withCommands = told.filter((path) => commandLines(read(path)).length > 0);

  test.each(withCommands)('of %s can be typed', async (path) => {
    const faults: string[] = [];
    for (const line of commandLines(read(path))) {
      for (const words of granaryWords(line.trim())) {
        // `…` and `COMMAND` stand for what is left out.
        if (words.some((word) => word === '…' || word === '...' || word === 'COMMAND')) continue;
        const fault = await parseFault(words);
        if (fault !== null) faults.push(`${line.trim()}: ${fault}`);
      }
    }
    expect(faults).toEqual([]);
  });

  test('are looked at in all of the pages that matter', () => {
    expect(withCommands).toEqual(
      expect.arrayContaining([
        'README.md',
        'docs/migrate.md',
        'docs/quickstart.md',
        'docs/reference/commands.md',
      ]),
    );
    expect(commandLines('```sh\ngranary plan \\\n  --seed eu\n```\ngranary nothing\n')).toEqual([
      'granary plan --seed eu',
    ]);
  });
});

describe('what is made', () => {
  test('is up to date: `npm run docs`', async () => {
    expect(await stalePages()).toEqual([]);
  });

  test('holds every command and every kind', () => {
    const made = generatedPages();
    for (const name of ['plan', 'secrets rotate', 'restore']) {
      expect(made.get('docs/reference/commands.md')).toContain(`## granary ${name}\n`);
      expect(made.get('man/granary.1')).toContain(`.SS granary ${name}`);
    }
    expect(made.get('docs/reference/configuration.md')).toContain('| `spec.keep.daily` |');
  });
});
