/** Runs the steps of a workflow as a runner does, and an API for comments like GitHub's and GitLab's. */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { parse } from 'yaml';
import { root } from '../house/repository.ts';

export interface Step {
  readonly name?: string;
  readonly id?: string;
  readonly if?: string;
  readonly uses?: string;
  readonly run?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Job {
  readonly if?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
}

/** A workflow, parsed: a file of `examples/ci`, or one that lies elsewhere. */
export function exampleOf<T>(name: string): T {
  return parse(readFileSync(resolve(root, 'examples/ci', name), 'utf8')) as T;
}

export interface RanStep {
  readonly name: string;
  readonly code: number | null;
  readonly output: string;
}

export interface Runner {
  /** The checkout, in which steps run. */
  readonly folder: string;
  readonly temp: string;
  /** What `${{ … }}` stands for. */
  readonly context: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
}

/** Whether a condition holds: comparisons of what is known with texts and with each other, joined by `&&`. */
export function holds(condition: string, values: ReadonlyMap<string, string>): boolean {
  return condition.split(' && ').every((part) => {
    const [, left = '', operator, right = ''] = /^(\S+) (==|!=) (\S+)$/.exec(part) ?? [];
    const [a, b] = [left, right].map((side) => /^'(.*)'$/.exec(side)?.[1] ?? known(side, values));
    return (a === b) === (operator === '==');
  });
}

function known(name: string, values: ReadonlyMap<string, string>): string {
  const value = values.get(name);
  if (value === undefined) throw new Error(`nothing is known of \${{ ${name} }}`);
  return value;
}

/**
 * Runs every `run` of a job with bash whose `if` holds, as GitHub does, until one fails. Only the installation of packages is left out:
 * Granary stands where the job would have put it.
 */
export async function runSteps(job: Job, runner: Runner): Promise<RanStep[]> {
  provide(runner.folder);
  mkdirSync(runner.temp, { recursive: true });
  const outputs = new Map(Object.entries(runner.context));
  const ran: RanStep[] = [];
  if (job.if !== undefined && !holds(job.if, outputs)) return ran;
  for (const { id, name = '', if: condition, run, env = {} } of job.steps) {
    if (run === undefined || run.startsWith('npm ci')) continue;
    if (condition !== undefined && !holds(condition, outputs)) continue;
    const outputFile = join(runner.temp, `output-${ran.length}`);
    writeFileSync(outputFile, '');
    const filled = Object.entries({ ...job.env, ...env }).map(([key, value]) => [key, fill(value, outputs)]);
    const result = await bash(run, runner.folder, {
      RUNNER_TEMP: runner.temp,
      GITHUB_OUTPUT: outputFile,
      ...Object.fromEntries(filled),
      ...runner.env,
    });
    ran.push({ name, ...result });
    for (const line of readFileSync(outputFile, 'utf8').split('\n')) {
      const [key = '', value = ''] = line.split('=');
      if (key !== '') outputs.set(`steps.${id}.outputs.${key}`, value);
    }
    if (result.code !== 0) break;
  }
  return ran;
}

function fill(text: string, values: ReadonlyMap<string, string>): string {
  return text.replaceAll(/\$\{\{ *(.*?) *\}\}/g, (_, name: string) => known(name, values));
}

/** Granary where the workflows look for it. */
export function provide(folder: string): void {
  symlinkSync(root, join(folder, '.granary-source'));
}

export function bash(
  script: string,
  cwd: string,
  env: Readonly<Record<string, string>>,
): Promise<{ code: number | null; output: string }> {
  const path = `${dirname(process.execPath)}:${process.env.PATH}`;
  const child = spawn('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', script], {
    cwd,
    env: { PATH: path, HOME: cwd, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, output }));
  });
}

export interface Comment {
  readonly id: number;
  body: string;
  readonly user: { readonly login: string };
  readonly author: { readonly id: number };
}

export interface CommentApi extends AsyncDisposable {
  readonly url: string;
  readonly comments: Comment[];
  /** `POST /path`, in their order. */
  readonly writes: string[];
}

/** Comments of pull request 7 of `acme/fleet`, and notes of merge request 7 of project 1; head commits by `headSha`. */
export async function commentApi(token: string, headSha = ''): Promise<CommentApi> {
  const comments: Comment[] = Array.from({ length: 120 }, (_, index) =>
    commentOf(index + 1, 'a person says', 'olga'),
  );
  const writes: string[] = [];
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const answer = (status: number, value: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    const { authorization, 'private-token': privateToken } = request.headers;
    if (authorization !== `Bearer ${token}` && privateToken !== token) return answer(401, {});
    let text = '';
    for await (const chunk of request) text += chunk;
    const lists = ['/repos/acme/fleet/issues/7/comments', '/projects/1/merge_requests/7/notes'];
    const one = /^\/(?:repos\/acme\/fleet\/issues\/comments|projects\/1\/merge_requests\/7\/notes)\/(\d+)$/;
    if (request.method === 'GET' && url.pathname === '/user') return answer(200, { id: 99 });
    if (request.method === 'GET' && url.pathname === '/repos/acme/fleet/pulls/7')
      return answer(200, { head: { sha: headSha } });
    if (request.method === 'GET' && lists.includes(url.pathname)) {
      const page = Number(url.searchParams.get('page'));
      return answer(200, comments.slice((page - 1) * 100, page * 100));
    }
    const { body } = JSON.parse(text || '{}') as { body?: string };
    if (body === undefined || body.length > 65_536) return answer(422, {});
    writes.push(`${request.method} ${url.pathname}`);
    if (request.method === 'POST' && lists.includes(url.pathname)) {
      comments.push(commentOf(comments.length + 1, body, 'github-actions[bot]', 99));
      return answer(201, {});
    }
    const found = comments.find(({ id }) => id === Number(one.exec(url.pathname)?.[1]));
    if (found === undefined) return answer(404, {});
    found.body = body;
    return answer(200, {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    comments,
    writes,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function commentOf(id: number, body: string, login: string, author = 1): Comment {
  return { id, body, user: { login }, author: { id: author } };
}
