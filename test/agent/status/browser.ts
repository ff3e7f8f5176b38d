/** A real Chromium, and what is asked of every page. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type Browser, chromium, type Page } from 'playwright-core';
import { openToAll, serve } from '../../../src/agent/http.ts';
import { makeMetrics } from '../../../src/agent/metrics.ts';
import type { AgentState } from '../../../src/agent/state.ts';
import { requireTool } from '../../servers/tools.ts';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: requireTool('chromium') });
}

/** An agent's server that knows what `state` says. @param now what it takes the time for */
export function serveState(state: AgentState, now: () => Date, tokenFile: string | null = null) {
  return serve({
    listen: { host: '127.0.0.1', port: 0 },
    access: { ...openToAll, tokenFile },
    state,
    metrics: makeMetrics(state, now),
    now,
    onPush: () => {},
  });
}

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
}

/** What axe finds wrong with a page, in words; its script comes by the debugger, which the page's policy does not bind. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const found = (await page.evaluate('axe.run().then(({violations}) => violations)')) as Violation[];
  return found.map(({ id, nodes }) => `${id}: ${nodes[0]?.html} ${nodes[0]?.failureSummary ?? ''}`);
}

/** Whether a page is wider than its window. */
export async function isTooWide(page: Page): Promise<boolean> {
  return (await page.evaluate('document.documentElement.scrollWidth > innerWidth')) as boolean;
}
