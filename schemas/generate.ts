/**
 * Writes `src/model/generated/<name>.ts` for every `schemas/<name>.schema.json`. The same schemas always give the
 * same text. With `--check` nothing is written: it compares, says what differs and exits with 1.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { compile } from 'json-schema-to-typescript';

const schemaFolder = fileURLToPath(new URL('.', import.meta.url));
const outputFolder = fileURLToPath(new URL('../src/model/generated/', import.meta.url));
const suffix = '.schema.json';

/** The text of each generated file, by its name without folder. */
export async function generateTypes(folder: string = schemaFolder): Promise<Map<string, string>> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(suffix)).sort();
  const files = new Map<string, string>();
  for (const name of names) {
    const schema = JSON.parse(await readFile(join(folder, name), 'utf8'));
    const text = await compile(schema, name.slice(0, -suffix.length), {
      cwd: folder,
      bannerComment: `// Generated from schemas/${name} by schemas/generate.ts. Do not edit.`,
      additionalProperties: false,
      ignoreMinAndMaxItems: true,
      unknownAny: true,
      style: { singleQuote: true, printWidth: 110 },
    });
    files.set(`${name.slice(0, -suffix.length)}.ts`, text);
  }
  return files;
}

/** What in `folder` differs from `files`, in words; empty where it is the same. */
export async function staleFiles(files: ReadonlyMap<string, string>, folder: string): Promise<string[]> {
  const present = await readdir(folder).catch((): string[] => []);
  const problems: string[] = [];
  for (const [name, text] of files) {
    if (!present.includes(name)) problems.push(`${name} is missing`);
    else if ((await readFile(join(folder, name), 'utf8')) !== text) problems.push(`${name} differs`);
  }
  for (const name of present.sort()) if (!files.has(name)) problems.push(`${name} has no schema`);
  return problems;
}

async function main(check: boolean): Promise<void> {
  const files = await generateTypes();
  if (!check) {
    await mkdir(outputFolder, { recursive: true });
    for (const [name, text] of files) await writeFile(join(outputFolder, name), text);
    return;
  }
  const problems = await staleFiles(files, outputFolder);
  if (problems.length === 0) return;
  console.error(`error: src/model/generated is not what the schemas say: ${problems.join(', ')}`);
  console.error('hint: run `npm run types` and commit the result');
  process.exitCode = 1;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(process.argv.includes('--check'));
}
