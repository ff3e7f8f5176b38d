/** What is sent to each type of receiver. Pure; docs/notifications.md describes the bodies. */
import { createHash, createHmac } from 'node:crypto';
import type { Secret } from '../../secrets/secret.ts';
import { cut, idOf } from './conditions.ts';
import { type Forge, statusUrl } from './forges.ts';
import type { Notice } from './ledger.ts';
import type { Outgoing } from './request.ts';
import type { CommitStatus } from './statuses.ts';
import type { Address } from './targets.ts';
import { noticeMessage, noticeText, troublesText } from './words.ts';

/** Of one message to Slack. */
const mostNotices = 20;
/** Characters of a description: GitHub answers 422 beyond its limit, GitLab 400. */
const longestDescription: Record<Forge, number> = { github: 140, gitlab: 255 };

const json = { 'content-type': 'application/json' };

/** @param page of the commit that it is about; null where none is known */
export function webhookRequest(
  notice: Notice,
  { url, token }: Address,
  now: Date,
  page: string | null,
): Outgoing {
  const { event, reminder, condition } = notice;
  const { seed, cluster, policy, destination, code, hint, since, commit } = condition;
  const body = JSON.stringify({
    formatVersion: 1,
    id: createHash('sha256')
      .update(`${idOf(condition)} ${since}`)
      .digest('hex')
      .slice(0, 32),
    event,
    recovered: event === 'recovery' ? condition.type : null,
    reminder,
    ...{ seed, cluster, policy, destination, code },
    message: noticeMessage(notice),
    hint: event === 'recovery' ? null : hint,
    since,
    time: now.toISOString(),
    commit,
    url: page,
  });
  return { method: 'POST', url, headers: { ...json, ...signature(body, wordOf(token)) }, body };
}

/** As GitHub signs its own webhooks: HMAC-SHA256 over the bytes of the body, in hex. */
function signature(body: string, key: string | null): Record<string, string> {
  if (key === null) return {};
  return { 'x-granary-signature': `sha256=${createHmac('sha256', key).update(body).digest('hex')}` };
}

/** One message for all notices. Slack-compatible services take the same. */
export function slackRequest(notices: readonly Notice[], { url, token }: Address, now: Date): Outgoing {
  const shown = notices.slice(0, mostNotices).map((notice) => noticeText(notice, now));
  const left = notices.length - shown.length;
  if (left > 0) shown.push(`and ${left} more`);
  const body = JSON.stringify({ text: escapeSlack(shown.join('\n')) });
  return { method: 'POST', url, headers: { ...json, ...bearer(wordOf(token)) }, body };
}

/** https://api.slack.com/reference/surfaces/formatting#escaping: these three and no others. */
function escapeSlack(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** @throws GranaryError `notification-refused` where the URL names no repository */
export function statusRequest(forge: Forge, status: CommitStatus, { url, token }: Address): Outgoing {
  const { seed, commit, ok, troubles, summary } = status;
  const limit = longestDescription[forge];
  const description = ok ? cut(summary, limit) : troublesText(troubles, limit);
  const name = `granary/${seed}`;
  const body =
    forge === 'github'
      ? { state: ok ? 'success' : 'failure', context: name, description }
      : { state: ok ? 'success' : 'failed', name, description };
  return {
    method: 'POST',
    url: statusUrl(forge, url, commit),
    headers: {
      ...json,
      ...(forge === 'github'
        ? { accept: 'application/vnd.github+json', 'x-github-api-version': '2022-11-28' }
        : {}),
      ...bearer(wordOf(token)),
    },
    body: JSON.stringify(body),
  };
}

export function heartbeatRequest({ url, token }: Address): Outgoing {
  return { method: 'GET', url, headers: bearer(wordOf(token)), body: null };
}

function bearer(token: string | null): Record<string, string> {
  return token === null ? {} : { authorization: `Bearer ${token}` };
}

/** A line break at the end comes from how YAML was written, and no header may have one. */
function wordOf(token: Secret | null): string | null {
  return token?.reveal().trim() ?? null;
}
