/** A real bare repository with a configuration on `main`, and clones of it. Nothing in it can be reached. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Repository } from '../git/repository-fixture.ts';

export const repositoryId = '6f0c9f6e-1d1b-4a6e-9a55-0f6f3c5a7b21';

/** The files of the configuration; backups go below `folder`. */
export function configuration(
  folder: string,
  policy: Partial<Record<'cron' | 'last' | 'more', string>> = {},
) {
  const { cron = '0 * * * *', last = '24', more = '' } = policy;
  const head = (kind: string, name: string) =>
    `apiVersion: granary.dev/v1\nkind: ${kind}\nmetadata: {name: ${name}}\n`;
  const destination = (name: string) =>
    `${head('Destination', name)}spec: {provider: filesystem, path: ${join(folder, name)}}\n`;
  return {
    'repository.yaml': `${head('Repository', 'fleet')}spec: {id: ${repositoryId}}\n`,
    'seeds/eu.yaml': `${head('Seed', 'eu')}spec:\n  clusters:\n    - {name: a, endpoints: ["http://127.0.0.1:9"]}\n    - {name: b, endpoints: ["http://127.0.0.1:9"]}\n`,
    'destinations/one.yaml': destination('one'),
    'destinations/two.yaml': destination('two'),
    'policies/hourly.yaml': `${head('Policy', 'hourly')}spec:\n  clusters: {}\n  schedule: {cron: "${cron}"}\n  destinations: [one]\n  keep:\n    last: ${last}\n${more}`,
  };
}

export interface Origin {
  /** Of the bare repository. */
  readonly url: string;
  /** Where the branches are made. */
  readonly work: Repository;
  /** A new clone that is at a branch. */
  clone(name: string, branch: string, ...options: string[]): Repository;
}

export function originIn(folder: string, files: Record<string, string>): Origin {
  const url = join(folder, 'origin.git');
  const work = new Repository(join(folder, 'work'));
  for (const name of ['one', 'two']) mkdirSync(join(folder, name));
  work.git('init', '--quiet', '--bare', '--initial-branch=main', url);
  work.git('remote', 'add', 'origin', url);
  work.commit('the first', files);
  work.git('push', '--quiet', 'origin', 'main');
  return {
    url,
    work,
    clone: (name, branch, ...options) => {
      const target = join(folder, name);
      work.git('clone', '--quiet', '--branch', branch, ...options, `file://${url}`, target);
      return new Repository(target);
    },
  };
}
