/**
 * What the page does by itself where JavaScript is on: it counts ages on, and asks for itself anew when the agent says that
 * something is new. Its hash stands in the Content-Security-Policy, so it must be put in as it is.
 */
export const script = `(() => {
  const live = document.getElementById('live');
  const plural = (count, unit) => count + ' ' + unit + (count === 1 ? '' : 's');
  const span = (ms) => {
    const s = Math.floor(ms / 1000);
    if (s < 60) return plural(s, 'second');
    if (s < 3600) return plural(Math.floor(s / 60), 'minute');
    if (s < 172800) return plural(Math.floor(s / 3600), 'hour');
    return plural(Math.floor(s / 86400), 'day');
  };
  const count = () => {
    const now = Date.now();
    for (const time of document.querySelectorAll('time[data-age]')) {
      const ago = now - Date.parse(time.dateTime);
      const text = ago >= 1000 ? span(ago) + ' ago' : ago > -1000 ? 'just now' : 'in ' + span(-ago);
      if (time.textContent !== text) time.textContent = text;
    }
  };
  let wanted = document.body.dataset.version;
  let asking = false;
  const renew = async () => {
    if (asking || document.hidden || wanted === document.body.dataset.version) return;
    asking = true;
    try {
      const answer = await fetch(location.href, { cache: 'no-store' });
      if (!answer.ok) return;
      const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const focused = document.activeElement?.getAttribute('href');
      const opened = document.querySelector('details[open]') !== null;
      const before = document.querySelector('h1')?.textContent;
      for (const id of ['top', 'fleet', 'rest', 'asof']) {
        const from = next.getElementById(id);
        const to = document.getElementById(id);
        if (from && to) to.replaceChildren(...from.childNodes);
      }
      document.title = next.title;
      document.body.dataset.version = next.body.dataset.version;
      if (opened) for (const one of document.querySelectorAll('details')) one.open = true;
      if (focused && document.activeElement === document.body)
        for (const link of document.links) if (link.getAttribute('href') === focused) { link.focus({ preventScroll: true }); break; }
      const after = document.querySelector('h1')?.textContent;
      live.textContent = after === before ? 'live' : after + ', live';
      count();
    } catch {
      live.textContent = 'not reached, trying again';
    } finally {
      asking = false;
    }
  };
  const events = new EventSource('/api/v1/events');
  events.addEventListener('state', ({ data }) => { wanted = data; void renew(); });
  events.onopen = () => { live.textContent = 'live'; };
  events.onerror = () => { live.textContent = 'not reached, trying again'; };
  document.addEventListener('visibilitychange', () => { count(); void renew(); });
  setInterval(() => { if (!document.hidden) { count(); void renew(); } }, 10000);
})();`;
