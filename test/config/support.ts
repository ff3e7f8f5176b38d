/** Configurations in temporary folders, with the diagnostics that are expected marked in the text itself. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { loadConfiguration } from '../../src/config/index.ts';
import type { Configuration } from '../../src/model/config.ts';
import { tempFolder } from '../servers/temp.ts';

/** Text by path. `⟦code⟧` marks that the character behind it is where a diagnostic of that code points to. */
export type Files = Readonly<Record<string, string>>;

export const now = new Date('2026-11-21T12:00:00Z');

export async function load(files: Files): Promise<Configuration> {
  using folder = tempFolder('config');
  for (const [file, text] of Object.entries(files)) {
    const path = folder.join(file);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, unmarked(text));
  }
  return await loadConfiguration(folder.path, { now });
}

/** `code file:line:column` of each diagnostic, sorted. */
export function found(configuration: Pick<Configuration, 'diagnostics'>): string[] {
  return configuration.diagnostics
    .map(({ code, file, line, column }) => `${code} ${file}:${line}:${column}`)
    .sort();
}

/** What the marks say, in the same form. Several marks may stand at one place. */
export function expected(files: Files): string[] {
  return Object.entries(files)
    .flatMap(([file, text]) =>
      [...text.matchAll(/⟦([a-z0-9-]+)⟧/g)].map((match) => {
        const before = unmarked(text.slice(0, match.index)).split('\n');
        return `${match[1]} ${file}:${before.length}:${(before.at(-1)?.length ?? 0) + 1}`;
      }),
    )
    .sort();
}

export function unmarked(text: string): string {
  return text.replaceAll(/⟦[a-z0-9-]+⟧/g, '');
}

const header = 'apiVersion: granary.dev/v1\n';

/** A document; `spec` stands in flow style behind `spec: `, or in lines below it where it begins with a line end. */
export function document(kind: string, name: string, spec: string): string {
  return `${header}kind: ${kind}\nmetadata: {name: ${name}}\nspec: ${spec}\n`;
}

export const seed = (name: string, spec = `{clusters: [${cluster('prod-a')}]}`) =>
  document('Seed', name, spec);
export const cluster = (name: string, more = '') =>
  `{name: ${name}, endpoints: ["https://10.0.0.1:2379"]${more}}`;
export const disk = (name: string, more = '') =>
  document('Destination', name, `{provider: filesystem, path: /backups/${name}${more}}`);
export const bucket = (name: string, more = '') =>
  document('Destination', name, `{provider: s3, bucket: ${name}${more}}`);
export const policy = (name: string, more = '') =>
  document(
    'Policy',
    name,
    `{clusters: {}, schedule: {cron: "0 * * * *"}, keep: {last: 3}, destinations: [disk]${more}}`,
  );

/** A credential with the given keys in its data, looking encrypted. */
export const credential = (name: string, spec: string, keys: readonly string[]) =>
  `${document('Credential', name, spec)}data: {${keys.map((key) => `${key}: "ENC[x]"`).join(', ')}}\nsops: {version: 3.13.3}\n`;

export const s3Keys = ['accessKeyId', 'secretAccessKey'];
export const etcdKeys = ['username', 'password', 'caCertificate'];

/** A valid repository without warnings, to which cases add their own files or put them in place of these. */
export const sound: Files = {
  'seed.yaml': seed('eu-west'),
  'disk.yaml': disk('disk'),
  'policy.yaml': policy('hourly'),
};
