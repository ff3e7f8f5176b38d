/**
 * That the rules on imports are really held. dependency-cruiser that cannot read TypeScript finds no module and so no
 * violation: only a planted one tells a clean tree from a blind tool.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { tempFolder } from '../servers/temp.ts';
import { root } from './repository.ts';

interface Cruise {
  /** Exit code of the command that CI runs. */
  readonly status: number | null;
  readonly modules: number;
  /** `rule: file`. */
  readonly violations: string[];
}

/** Runs dependency-cruiser with the project's configuration over a tree of these files. */
function cruise(files: Record<string, string>): Cruise {
  using tree = tempFolder('arrows');
  copyFileSync(join(root, '.dependency-cruiser.cjs'), tree.join('.dependency-cruiser.cjs'));
  symlinkSync(join(root, 'node_modules'), tree.join('node_modules'));
  writeFileSync(tree.join('package.json'), '{"type": "module", "dependencies": {"simple-git": "*"}}');
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(tree.join(path)), { recursive: true });
    writeFileSync(tree.join(path), text);
  }
  const run = (...more: string[]) => {
    const args = ['--config', '.dependency-cruiser.cjs', 'src', ...more];
    return spawnSync(join(root, 'node_modules/.bin/depcruise'), args, { cwd: tree.path, encoding: 'utf8' });
  };
  // The JSON names each violation, but its exit code is 0 all the same.
  const { stdout, stderr } = run('--output-type', 'json');
  if (stdout === '') throw new Error(`dependency-cruiser said nothing: ${stderr}`);
  const result = JSON.parse(stdout) as {
    modules: unknown[];
    summary: { violations: { rule: { name: string }; from: string }[] };
  };
  const violations = result.summary.violations.map(({ rule, from }) => `${rule.name}: ${from}`);
  return {
    status: run().status,
    modules: result.modules.length,
    violations: [...new Set(violations)].sort(),
  };
}

test('each kind of planted violation is seen, under its own name', () => {
  const { status, violations } = cruise({
    'src/cli/main.ts': 'export const main = 1;\nexport type Main = number;\n',
    'src/store/store.ts': 'export interface Store { readonly url: string }\n',
    'test/helper.ts': 'export const helper = 1;\n',
    'src/model/value.ts': "import { main } from '../cli/main.ts';\nexport const twice = main * 2;\n",
    'src/report/type.ts':
      "import type { Store } from '../store/store.ts';\nexport type Url = Store['url'];\n",
    'src/store/late.ts': "export const late = () => import('../cli/main.ts');\n",
    'src/plan/io.ts': "import { readFileSync } from 'node:fs';\nexport const read = readFileSync;\n",
    'src/backup/package.ts': "import { simpleGit } from 'simple-git';\nexport const git = simpleGit;\n",
    'src/cli/planted.ts': "import { helper } from '../../test/helper.ts';\nexport const planted = helper;\n",
    'src/etcd/gone.ts': "import { gone } from './nothing.ts';\nexport const lost = gone;\n",
    'src/git/a.ts': "import { b } from './b.ts';\nexport const a = () => b;\n",
    'src/git/b.ts': "import { a } from './a.ts';\nexport const b = () => a;\n",
  });
  expect(violations).toEqual([
    'model-imports-upward: src/model/value.ts',
    'no-circular: src/git/a.ts',
    'no-test-in-src: src/cli/planted.ts',
    'not-to-unresolvable: src/etcd/gone.ts',
    'plan-is-pure: src/plan/io.ts',
    'report-imports-upward: src/report/type.ts',
    'simplegit-has-one-home: src/backup/package.ts',
    'store-imports-upward: src/store/late.ts',
  ]);
  expect(status).toBeGreaterThan(0);
});

test('a tree that keeps the rules passes', () => {
  const { status, modules, violations } = cruise({
    'src/cli/main.ts': "import { value } from '../model/value.ts';\nexport const main = value;\n",
    'src/model/value.ts': 'export const value = 1;\n',
    'src/git/clone.ts': "import { simpleGit } from 'simple-git';\nexport const git = simpleGit;\n",
  });
  expect(violations).toEqual([]);
  expect(modules).toBeGreaterThanOrEqual(3);
  expect(status).toBe(0);
});
