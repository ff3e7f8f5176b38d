/** What stands around the fleet: plan and guards, destinations, configuration. */
import type { AgentStatus, SeedReport } from '../../model/generated/agent-status.ts';
import { counted } from '../plan-words.ts';
import { type Html, html } from './html.ts';
import { moment, momentInFull } from './words.ts';

const mostFolded = 50;

/** What is wrong with the agent as a whole, or with a seed's configuration. */
export function alerts(status: AgentStatus): Html {
  const found: { readonly what: string; readonly message: string; readonly hint: string | null }[] = [];
  if (status.draining)
    found.push({ what: 'This agent is ending', message: 'nothing new begins', hint: null });
  if (status.problem !== null) found.push({ what: 'No configuration', ...status.problem });
  if (status.source.error !== null)
    found.push({
      what: 'The configuration could not be read; the last good one goes on',
      ...status.source.error,
    });
  for (const { name, invalid, inUse } of status.seeds) {
    if (invalid === null) continue;
    const goesOn = inUse ? '; the last good one goes on' : '';
    found.push({ what: `The newest configuration is not used for seed ${name}${goesOn}`, ...invalid });
  }
  return html`${found.map(({ what, message, hint }) => html`<div class="alert"><p><strong>${what}.</strong> ${withCode(message)}</p>${hintLine(hint)}</div>`)}`;
}

export function hintLine(hint: string | null): Html | null {
  return hint === null ? null : html`<p class="hint">${withCode(hint)}</p>`;
}

/** What stands in backticks is a command or a value. */
function withCode(text: string): Html {
  return html`${text.split('`').map((part, index) => (index % 2 === 0 ? html`${part}` : html`<code>${part}</code>`))}`;
}

export function planSection(seeds: readonly SeedReport[], now: Date): Html {
  return html`<section aria-labelledby="plan"><h2 id="plan">Plan and guards</h2>${seeds.map((seed) => planOf(seed, seeds.length > 1, now))}</section>`;
}

function planOf({ name, plan, guards, warnings }: SeedReport, isNamed: boolean, now: Date): Html {
  const heading = isNamed ? html`<h3>${name}</h3>` : null;
  if (plan === null) return html`${heading}<p class="dim">Not planned yet.</p>`;
  const blocked = plan.blockedRemovals;
  return html`${heading}
<p>${planWords(plan)}. <span class="dim">Planned ${momentInFull(plan.time, now)}</span></p>
${guards.length === 0 ? html`<p class="dim">No guard holds anything back.</p>` : html`<p>${counted(guards.length, 'guard')} ${guards.length === 1 ? 'holds' : 'hold'}${blocked > 0 && html`; ${counted(blocked, 'removal')} blocked`}:</p>`}
${
  guards.length + warnings.length > 0 &&
  html`<ul class="notes">${[...groups([...guards, ...warnings])].map(noteOf)}</ul>`
}`;
}

interface Note {
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
  readonly blockedActions?: number;
}

/** By code: one guard may hold for hundreds of clusters. */
function groups(notes: readonly Note[]): Iterable<readonly Note[]> {
  return Map.groupBy(notes, ({ code }) => code).values();
}

/** Those of one code: the first with its hint, the others folded, and not more of them than anybody reads. */
function noteOf([first, ...others]: readonly Note[]): Html | null {
  if (first === undefined) return null;
  const left = others.length - mostFolded;
  const said = ({ message, blockedActions = 0 }: Note) =>
    html`${withCode(message)}${blockedActions > 0 && html` <span class="dim">(${counted(blockedActions, 'action')} held)</span>`}`;
  return html`<li><span class="code">${first.code}</span> ${said(first)}${hintLine(first.hint)}
${others.length > 0 && html`<details><summary>${others.length} more of these</summary><ul>${others.slice(0, mostFolded).map((one) => html`<li>${said(one)}</li>`)}</ul>${left > 0 && html`<p class="dim">and ${left} more</p>`}</details>`}</li>`;
}

function planWords({
  backups,
  removals,
  blocked,
  add,
  change,
  remove,
}: NonNullable<SeedReport['plan']>): string {
  const actions = [
    ...(backups > 0 ? [`${backups} to back up`] : []),
    ...(removals > 0 ? [`${counted(removals, 'copy', 'copies')} to remove`] : []),
    ...(blocked > 0 ? [`${blocked} blocked`] : []),
  ];
  const objects = [
    ...(add > 0 ? [`${add} new`] : []),
    ...(change > 0 ? [`${change} changed`] : []),
    ...(remove > 0 ? [`${remove} gone`] : []),
  ];
  const parts = [...actions, ...(objects.length > 0 ? [`objects: ${objects.join(', ')}`] : [])];
  return parts.length === 0
    ? 'Nothing to do'
    : parts.join('; ').replace(/^./, (letter) => letter.toUpperCase());
}

export function destinationSection(seeds: readonly SeedReport[], now: Date): Html {
  const all = seeds.flatMap((seed) => seed.destinations.map((destination) => ({ seed, destination })));
  if (all.length === 0) return html``;
  return html`<section aria-labelledby="destinations"><h2 id="destinations">Destinations</h2>
<ul class="cards">${all.map(({ seed, destination: { name, url, locked, probe } }) => {
    const state = locked
      ? 'locked'
      : probe === null
        ? 'not probed yet'
        : probe.ready
          ? 'ready'
          : probe.usable
            ? 'usable, not ready'
            : 'not usable';
    const tone = locked || probe === null ? 'calm' : probe.ready ? 'good' : probe.usable ? 'warn' : 'bad';
    return html`<li><p><strong>${name}</strong> <span class="state ${tone}">${state}</span>${seeds.length > 1 && html` <span class="dim">of ${seed.name}</span>`}</p>
<p class="dim wrap">${url}</p>
<p class="dim">${probe === null ? '' : html`probed ${momentInFull(probe.time, now)}`}</p>
${probe !== null && !probe.conditionalWrites && html`<p>Keeps no conditional writes: each attempt has a manifest of its own.</p>`}
${probe?.formerCredential === true && html`<p>The credential in Git does not work; the one before it is used still.</p>`}
${probe?.problem != null && html`<p>${probe.problem.step}: ${probe.problem.message}</p>${hintLine(probe.problem.hint)}`}</li>`;
  })}</ul></section>`;
}

export function sourceSection({ seeds, source }: AgentStatus, now: Date): Html {
  return html`<section aria-labelledby="source"><h2 id="source">Configuration</h2>
<p class="dim">Read ${momentInFull(source.lastRead, now, 'not yet')}</p>
<ul class="notes">${seeds.map(({ name, commit, inUse, invalid, signatures, sharing }) => {
    const valid =
      invalid === null
        ? inUse
          ? 'valid'
          : 'not read yet'
        : inUse
          ? 'an older one is in use'
          : 'none in use';
    return html`<li><strong>${name}</strong> <span class="state ${invalid === null && inUse ? 'good' : invalid === null ? 'calm' : 'bad'}">${valid}</span><br>${commit === null ? html`<span class="dim">a folder without Git</span>` : html`<code title="${commit.id}">${commit.id.slice(0, 10)}</code> ${commit.subject} <span class="dim">by ${commit.author}, ${momentInFull(new Date(commit.time).toISOString(), now)}; ${signatureWords(commit, signatures)}</span>`}${sharingOf(sharing)}</li>`;
  })}</ul></section>`;
}

function signatureWords(
  { signed, signer }: NonNullable<SeedReport['commit']>,
  asked: SeedReport['signatures'],
): string {
  const rule = {
    none: 'the next need not be signed',
    head: 'the newest must be signed',
    all: 'every commit must be signed',
  }[asked];
  if (signed === 'unchecked') return `its signature was not looked at; ${rule}`;
  if (signed === 'accepted') return `accepted without a signature by whoever runs this agent; ${rule}`;
  return `signature verified${signer === null ? '' : `, by ${signer}`}; ${rule}`;
}

/** Whose word this page is, where there are others. */
function sharingOf(sharing: SeedReport['sharing']): Html | null {
  if (sharing === null) return null;
  const { mode, replicas, leads, problem } = sharing;
  const words = {
    joining: 'looking for the coordination etcd',
    coordinated: `shared by ${counted(replicas.length, 'replica')}; ${leads ? 'this one speaks for the seed' : 'another speaks for the seed'}`,
    claims: 'shared by claims in the destinations: every replica does what no other is at',
  }[mode];
  return html`<br><span class="dim">Work: ${words}. What runs and what failed is told by the replica that works on it.</span>${problem !== null && html`<p>The coordination etcd is not reached: ${withCode(problem.message)}</p>${hintLine(problem.hint)}`}`;
}

/** Clusters that nothing backs up. */
export function uncoveredSection(seeds: readonly SeedReport[], now: Date): Html {
  const all = seeds.flatMap(({ name, clusters }) =>
    clusters.flatMap((one) =>
      one.uncovered === null ? [] : [{ name: `${name}/${one.name}`, why: one.uncovered, made: one.onDemand }],
    ),
  );
  if (all.length === 0) return html``;
  const shown = all.slice(0, 50);
  return html`<section aria-labelledby="uncovered"><h2 id="uncovered">Not backed up</h2><ul class="notes">${shown.map(({ name, why, made }) => html`<li><strong>${name}</strong> <span class="dim">${why}${made !== null && html`; ${counted(made.backups, 'backup')} on demand, the newest ${moment(made.newest.slot, now)}`}</span></li>`)}</ul>${all.length > shown.length && html`<p class="dim">and ${all.length - shown.length} more</p>`}</section>`;
}
