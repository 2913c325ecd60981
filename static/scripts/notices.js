// Desktop notifications of contacts who wrote while every Nametag tab was hidden; the tabs of a browser share them.
const NOTICES = "nametag:notices", MINUTE = 6e4, EVERY = MINUTE + 1000;
const [SINCE, CHECKED, VISIBLE] = ["since", "checked", "visible"].map((each) => `${NOTICES}:${each}`);
const sinceLast = (key) => Date.now() - localStorage.getItem(key);
const chosen = () => localStorage.getItem(NOTICES); // "on", "text" with the text of messages, or null
const supported = () => window.Notification && navigator.locks;
const allowed = () => supported() && Notification.permission === "granted";
const show = (waiting) => {
  if (!waiting.length) return;
  const [{ id, name, text }, ...others] = waiting, names = waiting.slice(0, 3).map((each) => each.name).join(", ");
  const notice = new Notification(others.length ? `${waiting.length} contacts wrote` : name,
    { body: others.length ? names : text || "New message", tag: NOTICES, renotify: true });
  notice.onclick = () => {
    focus();
    location = others.length ? "/inbox?filter=unread" : `/inbox/${id}`;
  };
};
const fetchNotices = async (since) => {
  const query = new URLSearchParams(since === null ? {} : { since, text: +(chosen() === "text") });
  const response = await fetch(`/inbox/notices?${query}`, { redirect: "manual" }).catch(() => null);
  if (!response?.ok) return []; // signed out, or offline: the next check asks again
  const { latest, waiting } = await response.json();
  localStorage.setItem(SINCE, latest);
  return waiting;
};
// One tab at a time: what it has reported is not reported again by another.
const inTurn = (act) => { if (document.hidden && chosen() && allowed()) navigator.locks.request(NOTICES, act); };
const begins = () => inTurn(() => fetchNotices(null)); // what came while a tab was visible is not reported
const check = () => inTurn(async () => {
  if (!document.hidden || sinceLast(CHECKED) < MINUTE) return;
  localStorage.setItem(CHECKED, Date.now());
  // A visible tab that is busy writes late; one that is hidden or closed takes its time back.
  show(await fetchNotices(sinceLast(VISIBLE) < 2 * EVERY ? null : localStorage.getItem(SINCE)));
});
const isVisible = () => { if (!document.hidden) localStorage.setItem(VISIBLE, Date.now()); };
const turned = () => {
  localStorage.removeItem(VISIBLE);
  isVisible();
  begins();
};
listen("visibilitychange", turned);
turned();
setInterval(() => { isVisible(); check(); }, EVERY);

// The Settings page.
const boxes = all("#notices [data-notices]");
const showChoice = (hint) => {
  for (const box of boxes) {
    box.disabled = !supported() || (box.dataset.notices === "text" && !chosen());
    box.checked = allowed() && [box.dataset.notices, "text"].includes(chosen());
  }
  if (boxes.length) setText("notices-hint", hint
    || (!supported() ? "Not available: the browser has no notifications, or the page was not opened over HTTPS."
      : Notification.permission === "denied"
        ? "Your browser blocks notifications of this site. Allow them in its site settings, then reload this page." : ""));
};
listen("change", async ({ target }) => {
  if (!boxes.includes(target)) return;
  const wanted = target.dataset.notices === "text" ? (target.checked ? "text" : "on") : target.checked && "on";
  const answer = wanted && await Notification.requestPermission();
  if (answer === "granted") localStorage.setItem(NOTICES, wanted);
  else localStorage.removeItem(NOTICES);
  showChoice(answer === "default" && "Not switched on: allow notifications when your browser asks.");
});
showChoice();
