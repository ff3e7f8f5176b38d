/** The status page as a whole: HTML of a status, and of nothing else. Works without JavaScript. */
import type { AgentStatus } from '../../model/generated/agent-status.ts';
import { formatBytes, formatCount, formatDuration, formatTime } from '../../model/units.ts';
import { counted } from '../plan-words.ts';
import { clusterSection } from './cluster.ts';
import { filterForm, fleet } from './fleet.ts';
import { Html, html } from './html.ts';
import { alerts, destinationSection, planSection, sourceSection, uncoveredSection } from './parts.ts';
import { needsSomebody, type Query, type Row, rowsOf } from './rows.ts';
import { script } from './script.ts';
import { style } from './style.ts';
import { moment, type Verdict, verdictOf } from './words.ts';

/** @param version of the state: the script of the page asks for it anew when another one is told */
export function fleetPage(status: AgentStatus, query: Query, version: string): string {
  const now = new Date(status.time);
  const rows = rowsOf(status);
  const verdict = verdictOf(status, rows);
  const body = html`
<div id="top">${answer(verdict)}${alerts(status)}${figures(status, rows, now)}</div>
<section aria-labelledby="clusters"><h2 id="clusters">Clusters</h2>
${filterForm(query, status.seeds.length)}
<div id="fleet">${fleet(rows, query, now)}</div></section>
<div id="rest">${uncoveredSection(status.seeds, now)}${planSection(status.seeds, now)}${destinationSection(status.seeds, now)}${sourceSection(status, now)}</div>`;
  return documentOf(status, verdict.headline, version, body);
}

/** One cluster in full; null where there is none of that name. */
export function clusterPage(
  status: AgentStatus,
  seed: string,
  cluster: string,
  version: string,
): string | null {
  const rows = rowsOf(status).filter((row) => row.seed.name === seed && row.cluster.name === cluster);
  if (rows.length === 0) return null;
  return documentOf(
    status,
    `${seed}/${cluster}`,
    version,
    html`<div id="top">${clusterSection(rows, new Date(status.time))}</div>`,
  );
}

function documentOf(status: AgentStatus, title: string, version: string, body: Html): string {
  const { text } = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>${title} · Granary</title><link rel="icon" href="data:,">
<style>${new Html(style)}</style></head>
<body data-version="${version}">
<a class="skip" href="#main">Skip to the clusters</a>
<header><p><a href="/">Granary</a> <span class="dim">${status.seeds
    .map(({ name }) => name)
    .slice(0, 5)
    .join(', ')}${status.seeds.length > 5 ? ` and ${status.seeds.length - 5} more` : ''}</span></p>
<p class="dim"><span id="live" role="status"></span> as of <span id="asof">${formatTime(new Date(status.time))}</span></p></header>
<main id="main" tabindex="-1">${body}</main>
<footer class="dim"><p>Granary ${status.version}, running since ${formatTime(new Date(status.startedAt))}${status.replica !== null && html`, replica ${status.replica}`}. The same as JSON: <a href="/api/v1/status">/api/v1/status</a>, for Prometheus: <a href="/metrics">/metrics</a></p></footer>
<script>${new Html(script)}</script>
</body></html>
`;
  return text;
}

function answer({ tone, headline, reasons, leftOut, next }: Verdict): Html {
  return html`<div class="answer ${tone}"><h1>${headline}</h1>
${reasons.length > 0 && html`<ul>${reasons.map((reason) => html`<li>${reason}</li>`)}</ul>`}${leftOut > 0 && html`<p class="dim">and ${leftOut} more below</p>`}
${next !== null && html`<p class="next">Now run <code>${next}</code></p>`}</div>`;
}

function figures(status: AgentStatus, rows: readonly Row[], now: Date): Html {
  if (rows.length === 0) return html``;
  const losses = rows.flatMap(({ policy }) => policy.worstLossSeconds ?? []);
  const worst = losses.length === 0 ? null : Math.max(...losses);
  const worstRow = rows.find(({ policy }) => policy.worstLossSeconds === worst);
  const nexts = rows.flatMap(({ policy }) => policy.nextRun ?? []).sort();
  const count = (read: (row: Row) => number) => rows.reduce((sum, row) => sum + read(row), 0);
  const safe = rows.filter(({ state }) => !needsSomebody(state) && state !== 'starting').length;
  const running = status.seeds.reduce((sum, seed) => sum + seed.running.length, 0);
  const waiting = status.seeds.reduce((sum, seed) => sum + seed.waiting.length, 0);
  const figure = (name: string, value: Html, more: Html) =>
    html`<div><dt>${name}</dt><dd>${value} <span class="dim">${more}</span></dd></div>`;
  return html`<dl class="figures">${[
    figure('In order', html`${safe} of ${rows.length}`, html`cluster and policy`),
    figure(
      'Worst loss',
      html`${worst === null ? 'not known' : formatDuration(worst * 1_000)}`,
      html`${worstRow === undefined || worst === null ? '' : worstRow.name}`,
    ),
    figure('Next run', moment(nexts[0] ?? null, now, 'none'), html``),
    figure(
      'Backups',
      html`${formatCount(count(({ policy }) => policy.backups))}`,
      html`${formatBytes(count(({ policy }) => policy.bytes))} stored`,
    ),
    figure(
      'Now',
      html`${running === 0 ? 'idle' : `${counted(running, 'cluster')} running`}`,
      html`${waiting > 0 ? `${waiting} waiting` : ''}`,
    ),
  ]}</dl>`;
}
