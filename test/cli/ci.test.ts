/** The workflows of `examples/ci`: their very steps, on a real bare repository with branches. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { type TempFolder, tempFolder } from '../servers/temp.ts';
import { bash, type CommentApi, commentApi, exampleOf, type Job, provide, runSteps } from './ci-jobs.ts';
import { configuration, type Origin, originIn } from './configured-repository.ts';
import { filesIn, granaryJson } from './granary.ts';

interface Workflow {
  readonly on: unknown;
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

const token = 'a-token-of-the-api';
let temp: TempFolder;
let folder: string;
let origin: Origin;

beforeEach(() => {
  temp = tempFolder('ci');
  folder = temp.path;
  origin = originIn(folder, configuration(folder));
  origin.work.git('switch', '--quiet', '-c', 'feature');
});

afterEach(() => temp[Symbol.dispose]());

/** Commits to the branch and pushes it. */
function push(files: Record<string, string>): string {
  const commit = origin.work.commit('a change', files);
  origin.work.git('push', '--quiet', 'origin', 'feature');
  return commit;
}

function jobOf(file: string): Job {
  const [job] = Object.values(exampleOf<Workflow>(file).jobs);
  if (job === undefined) throw new Error(`${file} has no job`);
  return job;
}

async function api(headSha?: string): Promise<CommentApi> {
  const served = await commentApi(token, headSha);
  onTestFinished(() => served[Symbol.asyncDispose]());
  return served;
}

function runnerIn(name: string, { url }: CommentApi) {
  const { folder: checkout } = origin.clone(name, 'feature');
  return {
    folder: checkout,
    temp: join(folder, `${name}-temp`),
    context: {
      'github.event_name': 'pull_request',
      'github.repository': 'acme/fleet',
      'github.event.pull_request.head.repo.full_name': 'acme/fleet',
      'github.base_ref': 'main',
      'github.token': token,
      'github.event.pull_request.number': '7',
      'vars.GRANARY_INVENTORY': '',
      'vars.GRANARY_REPOSITORY': 'acme/granary',
    },
    env: {
      GITHUB_API_URL: url,
      GITHUB_REPOSITORY: 'acme/fleet',
      GITHUB_STEP_SUMMARY: join(folder, `${name}-summary.md`),
    },
  };
}

/** The same as a pull request from a fork. */
function fromFork(runner: ReturnType<typeof runnerIn>) {
  const context = { ...runner.context, 'github.event.pull_request.head.repo.full_name': 'olga/fleet' };
  return { ...runner, context };
}

describe('github.yaml', () => {
  const job = jobOf('github.yaml');

  test('is what `granary init` writes', async () => {
    await granaryJson(['init', join(folder, 'new')]);
    const written = join(folder, 'new/.github/workflows/granary.yaml');
    const { on, permissions, jobs } = exampleOf<Workflow>(written);
    expect(jobs.plan).toEqual(job);
    expect(Object.keys(on as object)).toContain('pull_request');
    expect(permissions).toEqual({ contents: 'read', 'pull-requests': 'write' });
    const [checkout] = job.steps;
    expect(checkout).toMatchObject({ with: { 'fetch-depth': 0, 'persist-credentials': false } });

    // On the repository that it was written with.
    const files = Object.fromEntries(
      filesIn(join(folder, 'new'))
        .filter((name) => name !== 'age.key')
        .map((name) => [name, readFileSync(join(folder, 'new', name), 'utf8')]),
    );
    mkdirSync(join(folder, 'own'));
    origin = originIn(join(folder, 'own'), files);
    origin.work.git('switch', '--quiet', '-c', 'feature');
    const policy = files['policies/hourly.yaml']?.replace('last: 24', 'last: 12') ?? '';
    push({ 'policies/hourly.yaml': policy });
    const served = await api();
    const steps = await runSteps(jobs.plan as Job, runnerIn('checkout', served));
    expect(steps.map(({ name, code }) => [name, code])).toEqual([
      ['Plan', 0],
      ['Comment', 0],
      ['Result', 0],
    ]);
    expect(served.comments.at(-1)?.body).toContain('keep.last: 24 → 12');
  });

  test('from a fork, whose token may write nothing, the plan stands in the step summary', async () => {
    const served = await api();
    push(configuration(folder, { last: '12' }));
    const steps = await runSteps(job, fromFork(runnerIn('fork', served)));
    expect(steps.map(({ name, code }) => [name, code])).toEqual([
      ['Plan', 0],
      ['Result', 0],
    ]);
    expect(readFileSync(join(folder, 'fork-summary.md'), 'utf8')).toContain('keep.last: 24 → 12');
    expect(served.writes).toEqual([]);
  });

  test('what is pushed to the main branch is checked, and not planned', async () => {
    const served = await api();
    push(configuration(folder, { last: '0' }));
    const runner = runnerIn('pushed', served);
    const steps = await runSteps(job, {
      ...runner,
      context: { ...runner.context, 'github.event_name': 'push' },
    });
    expect(steps.map(({ name, code }) => [name, code])).toEqual([['Validate', 1]]);
    expect(steps[0]?.output).toContain('::error file=policies/hourly.yaml,line=');
    expect(served.writes).toEqual([]);
  });

  test('comments once, keeps the comment up to date, and annotates the changed lines', async () => {
    const served = await api();
    push(configuration(folder, { last: '12' }));
    const [plan, comment, result] = await runSteps(job, runnerIn('first', served));
    expect(plan?.output).toContain(
      '::warning file=policies/hourly.yaml,line=9,col=5,title=Policy hourly changes::keep.last: 24 -> 12',
    );
    expect([plan?.code, comment?.code, result?.code], comment?.output).toEqual([0, 0, 0]);
    expect(served.writes).toEqual(['POST /repos/acme/fleet/issues/7/comments']);
    expect(served.comments.at(-1)?.body).toMatch(
      /^<!-- granary plan -->\n\*\*Policy hourly: how many .* not known/,
    );
    expect(readFileSync(join(folder, 'first-summary.md'), 'utf8')).toContain('keep.last: 24 → 12');

    push(configuration(folder, { last: '12', cron: '0 3 * * *' }));
    await runSteps(job, runnerIn('second', served));
    expect(served.writes.slice(1)).toEqual(['PATCH /repos/acme/fleet/issues/comments/121']);
    expect(served.comments.at(-1)?.body).toContain(
      'more can be lost: between two backups lie 24 hours at most, 1 hour before',
    );
  });

  test('fails where a guard refuses, after it has commented', async () => {
    const served = await api();
    origin.work.git('rm', '--quiet', 'seeds/eu.yaml');
    push({});
    const steps = await runSteps(job, runnerIn('refused', served));
    expect(steps.map(({ code }) => code)).toEqual([0, 0, 3]);
    expect(steps[0]?.output).toContain('::error title=empty-desired-state::');
    expect(served.comments.at(-1)?.body).toMatch(
      /^<!-- granary plan -->\n\*\*Refused: nothing is to be backed up/,
    );
  });

  test('says that there is no plan where the configuration is invalid, and where the lines are', async () => {
    const served = await api();
    push({ 'policies/hourly.yaml': 'kind: Polcy\n' });
    const steps = await runSteps(job, runnerIn('broken', served));
    expect(steps.map(({ code }) => code)).toEqual([0, 0, 1]);
    expect(steps[0]?.output).toMatch(/::error file=policies\/hourly\.yaml,line=1/);
    expect(served.comments.at(-1)?.body).toContain('No plan');
  });
});

describe('gitlab-ci.yaml', () => {
  const job = Object.values(
    exampleOf<Record<string, { script: string[]; variables: Record<string, string> }>>('gitlab-ci.yaml'),
  )[0];

  test('writes one note, and none without a token', async () => {
    const served = await api();
    const base = origin.work.git('rev-parse', 'main');
    push(configuration(folder, { last: '12' }));
    const run = (name: string, env: Record<string, string>) => {
      const { folder: checkout } = origin.clone(name, 'feature');
      provide(checkout);
      return bash(job?.script.join('\n') ?? '', checkout, {
        ...job?.variables,
        CI_API_V4_URL: served.url,
        CI_PROJECT_ID: '1',
        CI_MERGE_REQUEST_IID: '7',
        CI_MERGE_REQUEST_DIFF_BASE_SHA: base,
        ...env,
      });
    };
    const silent = await run('silent', {});
    expect([silent.code, served.writes], silent.output).toEqual([0, []]);
    expect((await run('first', { GRANARY_NOTES_TOKEN: token })).code).toBe(0);
    const again = await run('again', { GRANARY_NOTES_TOKEN: token });
    expect(again.code, again.output).toBe(0);
    expect(served.writes).toEqual([
      'POST /projects/1/merge_requests/7/notes',
      'PUT /projects/1/merge_requests/7/notes/121',
    ]);
    expect(again.output).not.toContain(token);
  });
});

describe('forks', () => {
  const plan = exampleOf<Workflow>('forks.plan.yaml');
  const comment = exampleOf<Workflow>('forks.comment.yaml');

  test('the plan has no secret, and the comment runs nothing of the pull request', () => {
    const text = JSON.stringify(plan);
    expect(plan.permissions).toEqual({ contents: 'read' });
    expect(text).not.toMatch(/secrets\.|github\.token|GH_TOKEN/);
    expect(plan.on).toBe('pull_request');
    const uses = jobOf('forks.comment.yaml').steps.flatMap((step) => step.uses ?? []);
    expect(uses).toEqual(['actions/download-artifact@v4']);
    expect(JSON.stringify(comment)).not.toMatch(/checkout|GRANARY|import\(|eval|workflow_run\.head_branch/);
    const runs = jobOf('forks.comment.yaml').steps.flatMap((step) => step.run ?? []);
    // What comes from outside is read by the script from variables and files, and never pasted into it.
    for (const run of runs) expect(run).not.toContain('${{');
  });

  test('what one makes the other posts, for the pull request that it is of', async () => {
    const head = push(configuration(folder, { last: '12' }));
    const served = await api(head);
    expect(await runSteps(jobOf('forks.plan.yaml'), runnerIn('own', served))).toEqual([]);
    const runner = fromFork(runnerIn('fork', served));
    const planned = await runSteps(jobOf('forks.plan.yaml'), runner);
    expect(
      planned.map(({ code }) => code),
      planned[0]?.output,
    ).toEqual([0, 0]);
    const empty = (name: string) => {
      mkdirSync(join(folder, name));
      return join(folder, name);
    };
    const post = (sha: string, name: string) =>
      runSteps(jobOf('forks.comment.yaml'), {
        ...runner,
        folder: empty(name),
        context: {
          'github.token': token,
          'github.repository': 'acme/fleet',
          'github.event.workflow_run.event': 'pull_request',
          'github.event.workflow_run.head_repository.full_name': 'olga/fleet',
          'github.event.workflow_run.head_sha': sha,
        },
      });
    const [posted] = await post(head, 'post');
    expect(posted?.code, posted?.output).toBe(0);
    expect(served.comments.at(-1)?.body).toContain('keep.last: 24 → 12');

    const [other] = await post('0'.repeat(40), 'other');
    expect(other?.code).toBe(1);
    writeFileSync(join(runner.temp, 'plan/plan.md'), '<!-- hidden @acme/owners');
    await post(head, 'hostile');
    expect(served.comments.at(-1)?.body).not.toMatch(/<!-- hidden|@acme/);
    writeFileSync(join(runner.temp, 'plan/number'), '7/../8');
    const [stray] = await post(head, 'stray');
    expect(stray?.code).toBe(1);
    expect(served.writes).toHaveLength(2);
  });
});
