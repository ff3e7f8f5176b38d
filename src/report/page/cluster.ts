/** One cluster in full: each policy with its newest backup, proofs, last error, and the last 30 days day by day. */
import type { ClusterStatus } from '../../model/generated/agent-status.ts';
import { formatBytes, formatCount } from '../../model/units.ts';
import { counted } from '../plan-words.ts';
import { copiesOf } from './fleet.ts';
import { type Html, html } from './html.ts';
import { hintLine } from './parts.ts';
import type { Row } from './rows.ts';
import { daysOf, dayWords, drawing, textOf } from './timeline.ts';
import { lossText, momentInFull, proofKinds, reasonOf, stateWords, toneOf } from './words.ts';

/** @param rows of one cluster, at least one */
export function clusterSection(rows: readonly Row[], now: Date): Html {
  const [first] = rows;
  const name = first?.name ?? '';
  return html`<p><a href="/">All clusters</a></p><h1>${name}</h1>${rows.map((row) => policySection(row, now))}${onDemandSection(first?.cluster.onDemand ?? null, now)}
<p class="next">To get it back: <code>granary restore ${name} --data-dir DIR</code></p>`;
}

/** What somebody asked for counts for no policy. */
function onDemandSection(found: ClusterStatus['onDemand'], now: Date): Html | null {
  if (found === null) return null;
  const { backups, bytes, newest } = found;
  return html`<section aria-labelledby="on-demand"><h2 id="on-demand">On demand</h2>
<dl class="facts">${[
    fact('Newest', html`${momentInFull(newest.slot, now)}<br><code class="wrap">${newest.id}</code>`),
    fact('Copies', html`${newest.copies.join(', ')}`),
    fact('Goes', momentInFull(newest.until, now, 'stays until somebody removes it')),
    fact('Kept', html`${counted(backups, 'backup')}, ${formatBytes(bytes)}`),
  ]}</dl></section>`;
}

function fact(term: string, value: Html): Html {
  return html`<div><dt>${term}</dt><dd>${value}</dd></div>`;
}

function policySection(row: Row, now: Date): Html {
  const { policy, state } = row;
  const { backup, lastError, timeline } = policy;
  return html`<section aria-labelledby="p-${policy.policy}"><h2 id="p-${policy.policy}">${policy.policy} <span class="state ${toneOf(state)}">${stateWords[state]}</span></h2>
<p>${reasonOf(row).replace(/^./, (letter) => letter.toUpperCase())}.</p>${lastError !== null && hintLine(lastError.hint)}
<dl class="facts">${[
    fact(
      'Last backup',
      backup === null
        ? html`none`
        : html`${momentInFull(backup.slot, now)}<br><code class="wrap">${backup.id}</code>`,
    ),
    ...(backup === null
      ? []
      : [
          fact(
            'Size',
            html`${backup.storedBytes === null ? 'not known' : `${formatBytes(backup.storedBytes)} stored`}${backup.snapshotBytes !== null && html`, ${formatBytes(backup.snapshotBytes)} snapshot`}`,
          ),
        ]),
    fact('Copies', copiesOf(policy)),
    fact('Loss window', html`${lossText(policy)}`),
    fact('Next run', momentInFull(policy.nextRun, now, 'none')),
    fact(
      'Kept',
      html`${counted(policy.backups, 'backup')}, ${formatBytes(policy.bytes)}${!policy.complete && html`, and what could not be read`}`,
    ),
    ...proofKinds.map(([kind, words]) => {
      const proof = policy.proofs[kind];
      return fact(
        `Proof: ${words}`,
        proof === null
          ? html`<span class="dim">never</span>`
          : html`<span class="${proof.ok ? '' : 'tone-bad'}">${proof.ok ? 'good' : 'bad'}</span> ${momentInFull(proof.time, now)}`,
      );
    }),
    ...(lastError === null
      ? []
      : [
          fact(
            'Last error',
            html`<span class="code">${lastError.code}</span> ${momentInFull(lastError.time, now)}`,
          ),
        ]),
  ]}</dl>
<h3>The last 30 days</h3><p>${drawing(timeline)}</p><p class="dim">${textOf(timeline)}</p>
<details><summary>Day by day</summary><table class="plain"><caption>Days in UTC, the newest first</caption><thead><tr><th scope="col">Day</th><th scope="col">Backups</th><th scope="col">Missed</th><th scope="col">Bad proof</th><th scope="col">In words</th></tr></thead>
<tbody>${daysOf(timeline)
    .toReversed()
    .map(
      ({ date, backups, missed, bad, kind }) =>
        html`<tr><th scope="row">${date}</th><td>${formatCount(backups)}</td><td>${formatCount(missed)}</td><td>${formatCount(bad)}</td><td>${dayWords[kind]}</td></tr>`,
    )}</tbody></table></details></section>`;
}
