/** What the Repository says, and what is said somewhere and has no effect yet. */

import { formatTime } from '../../model/units.ts';
import { childPointer } from '../pointer.ts';
import type { Finding, Rule } from './context.ts';

export const approvalsAreFresh: Rule = ({ repositories, now, report }) => {
  for (const { object, source } of repositories) {
    object.approvals.forEach(({ expires }, index) => {
      const end = new Date(expires);
      if (end > now) return;
      report(source, childPointer('/spec/approvals', index), {
        code: 'approval-expired',
        severity: 'warning',
        message: `this approval ended at ${formatTime(end)} and counts no more`,
        hint: 'remove it; where it is still meant, approve the digest that `granary plan` prints now',
      });
    });
  }
};

export const notificationsHaveATarget: Rule = ({ repositories, report }) => {
  for (const { object, written, source } of repositories) {
    object.notifications.forEach((notification, index) => {
      const pointer = childPointer('/spec/notifications', index);
      const at = (field: string, finding: Omit<Finding, 'code'>) =>
        report(source, `${pointer}${field}`, { code: 'bad-notification', ...finding });
      const { type, url, credential } = notification;
      if (url === null && credential === null) {
        at('', {
          message: `a notification of type ${type} has neither \`url\` nor \`credential\``,
          hint: null,
        });
      }
      if (url !== null) {
        const problem = targetProblem(url);
        if (problem !== null) at('/url', { message: `\`url\` ${problem}`, hint: null });
        else if (type === 'slack' && credential === null) {
          report(source, `${pointer}/url`, {
            code: 'open-secret',
            severity: 'warning',
            message:
              'whoever has the `url` of a Slack webhook can write to its channel; in Git it is no secret',
            hint: 'put it into a Credential of type token, name that as `credential`, and leave `url` out',
          });
        }
      }
      if ((type === 'github' || type === 'gitlab') && credential === null) {
        at('', {
          message: `a notification of type ${type} needs a \`credential\` with a token`,
          hint: 'a Credential of type token',
        });
      } else if ((type === 'github' || type === 'gitlab') && url === null) {
        at('', {
          message: `a notification of type ${type} needs the \`url\` of the repository`,
          hint: type === 'github' ? 'https://github.com/OWNER/NAME' : 'https://gitlab.com/GROUP/NAME',
        });
      }
      if (type === 'heartbeat' && written.spec.notifications?.[index]?.on !== undefined) {
        at('/on', {
          place: 'key',
          message: 'a heartbeat comes after each pass without failure; it has no `on`',
          hint: 'remove `on`',
        });
      }
    });
  }
};

/** What is wrong with where a notification goes, in words. The URL is never repeated: it may be a secret. */
function targetProblem(text: string): string | null {
  const url = /[\s\\]/.test(text) ? null : URL.parse(text);
  if (url === null || !/^https?:\/\/[^/]/.test(text)) return 'is no `https://` URL';
  if (url.username !== '' || url.password !== '') {
    return 'has a user or a password in it; those belong into a Credential';
  }
  const isHere = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
  return url.protocol === 'http:' && !isHere ? 'is `http://`: everybody on the way could read it' : null;
}
