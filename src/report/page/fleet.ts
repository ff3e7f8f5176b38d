/** The table of all clusters, with its filter. */
import { formatBytes } from '../../model/units.ts';
import { counted } from '../plan-words.ts';
import { type Html, html } from './html.ts';
import { addressOf, chosen, type Query, type Row, type SortOrder } from './rows.ts';
import { drawing } from './timeline.ts';
import { lastProof, lossText, moment, stateWords, toneOf } from './words.ts';

/** Rows that are shown unless all are asked for. */
const firstRows = 100;

/** It stands outside of what is replaced when something changes, so that nobody loses what they type. */
export function filterForm(query: Query, seeds: number): Html {
  const { words, sort, all } = query;
  return html`<form class="filter" action="/" method="get" role="search">
<label for="q">Filter</label>
<input id="q" name="q" type="search" value="${words}" maxlength="200" autocomplete="off" placeholder="${seeds > 1 ? 'seed, ' : ''}cluster, policy or state">
${sort !== 'worst' && html`<input type="hidden" name="sort" value="${sort}">`}${all && html`<input type="hidden" name="show" value="all">`}
<button>Show</button>${words !== '' && html` <a href="${addressOf({ ...query, words: '' })}">clear</a>`}
</form>`;
}

export function fleet(all: readonly Row[], query: Query, now: Date): Html {
  const found = chosen(all, query);
  const shown = query.all ? found : found.slice(0, firstRows);
  const left = found.length - shown.length;
  if (all.length === 0) return html`<p class="dim">No cluster is backed up here yet.</p>`;
  if (found.length === 0)
    return html`<p>None of ${counted(all.length, 'row')} matches. <a href="${addressOf({ ...query, words: '' })}">Show all of them</a>.</p>`;
  return html`<table class="fleet" role="table">
<caption>${captionOf(all.length, found.length, left, query)}</caption>
<thead role="rowgroup"><tr role="row">${heads.map(([label, sort]) => head(label, sort, query))}</tr></thead>
<tbody role="rowgroup">${shown.map((row) => line(row, now))}</tbody>
</table>
${left > 0 && html`<p><a href="${addressOf({ ...query, all: true })}">Show the other ${left}</a></p>`}`;
}

const heads: readonly (readonly [string, SortOrder | null])[] = [
  ['Cluster', 'name'],
  ['State', 'worst'],
  ['Last backup', 'age'],
  ['Loss window', 'loss'],
  ['Next run', 'next'],
  ['Copies', null],
  ['Last proof', null],
  ['30 days', null],
];

function head(label: string, sort: SortOrder | null, query: Query): Html {
  if (sort === null) return html`<th role="columnheader" scope="col">${label}</th>`;
  const isOwn = sort === query.sort;
  return html`<th role="columnheader" scope="col"${isOwn && html` aria-sort="${sort === 'name' || sort === 'next' ? 'ascending' : 'descending'}"`}><a href="${addressOf({ ...query, sort })}">${label}</a></th>`;
}

function captionOf(all: number, found: number, left: number, { words }: Query): Html {
  const what = words === '' ? counted(all, 'row') : `${found} of ${counted(all, 'row')} match “${words}”`;
  return html`${what}${left > 0 && html`, ${left} not shown here`}`;
}

function line({ name, seed, cluster, policy, state }: Row, now: Date): Html {
  const { backup, nextRun, timeline } = policy;
  const proof = lastProof(policy);
  const href = `/clusters/${encodeURIComponent(seed.name)}/${encodeURIComponent(cluster.name)}`;
  const busy = cluster.activity === 'idle' ? null : html` <span class="busy">${cluster.activity}</span>`;
  const cell = (label: string, content: Html) =>
    html`<td role="cell"><span class="label">${label} </span>${content}</td>`;
  return html`<tr role="row">
<th role="rowheader" scope="row"><a href="${href}">${name}</a> <span class="dim">${policy.policy}</span>${busy}</th>
<td role="cell"><span class="state ${toneOf(state)}">${stateWords[state]}</span></td>
${[
  cell(
    'Last backup',
    html`${moment(backup?.slot ?? null, now)}${backup !== null && html` <span class="abs">${backup.slot.slice(0, 16).replace('T', ' ')} UTC${sizeOf(backup.storedBytes)}</span>`}`,
  ),
  cell('Loss window', html`${lossText(policy)}`),
  cell('Next run', moment(nextRun, now, 'none')),
  cell('Copies', copiesOf(policy)),
  cell(
    'Last proof',
    proof === null
      ? html`<span class="dim">never</span>`
      : html`<span class="${proof.proof.ok ? '' : 'tone-bad'}">${proof.proof.ok ? proof.kind : `${proof.kind} failed`}</span> ${moment(proof.proof.time, now)}`,
  ),
  cell('30 days', drawing(timeline)),
]}
</tr>`;
}

function sizeOf(bytes: number | null): string {
  return bytes === null ? '' : `, ${formatBytes(bytes)}`;
}

export function copiesOf({ backup }: Row['policy']): Html {
  if (backup === null) return html`<span class="dim">none</span>`;
  const missing = backup.missingCopies;
  return html`${backup.copies.join(', ')}${missing.length > 0 && html` <span class="tone-warn">not on ${missing.join(', ')}</span>`}`;
}
