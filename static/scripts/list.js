// The conversation list: one tab stop, rows that polls keep, and announcements of new messages.
const rows = () => all("#conv-list .row-link");
const currentRow = () => rows().find((link) => link.hasAttribute("aria-current"));
const rove = (target) => {
  const links = rows(), stop = target || links.find((link) => link === document.activeElement) || currentRow() || links[0];
  for (const link of links) link.tabIndex = link === stop ? 0 : -1;
};
const focusRow = (link) => { if (link) { rove(link); link.focus(); } };
const openThread = () => document.querySelector(".thread");
const openRow = () => `c${openThread()?.dataset.id}`;
let byKeyboard = false;
const move = (step) => {
  const links = rows(), here = links.indexOf(document.activeElement), current = links.indexOf(currentRow());
  if (here >= 0) focusRow(links[Math.min(Math.max(here + step, 0), links.length - 1)]);
  else if (!openThread()) focusRow(links[Math.max(current, 0)]);
  else openNext(step);
};
// Opens the row after the open one, also one that is not loaded yet.
let waiting = null;
const openNext = (step, atEnd) => {
  const links = rows(), next = links[links.indexOf(currentRow()) + step];
  waiting = null;
  byKeyboard = true;
  if (next) next.click();
  else if (step > 0 && $("more")) {
    waiting = () => openNext(step, atEnd);
    htmx.trigger($("more"), "more:now");
  } else atEnd?.();
};
const closeThread = () => {
  const push = `/inbox${listQuery()}`;
  htmx.ajax("GET", push, { target: "#thread-pane", swap: "innerHTML show:none", push });
};
listen("pointerdown", () => { byKeyboard = false; });

// A poll returns the first rows only; those that followed them on the page still do.
const withOlderRows = (answer) => {
  const fresh = new DOMParser().parseFromString(answer, "text/html"), more = fresh.getElementById("more");
  if (!more) return answer;
  const list = more.parentElement, shown = all("#conv-list li");
  more.remove();
  const last = shown.findIndex((row) => row.id === list.lastElementChild.id);
  for (const row of last < 0 ? [more] : shown.slice(last + 1)) if (!fresh.getElementById(row.id)) list.append(row.cloneNode(true));
  fresh.getElementById("conv-limit").setAttribute("value", all(".row", list).length);
  return fresh.body.innerHTML;
};

// New messages are announced at most every 30 s.
let counted = null, announcedAt = 0, arrived = {};
const unreadRows = () => Object.fromEntries(rows().map((link) =>
  [link.parentElement.id, [+(link.dataset.unread || 0), link.querySelector("time").dateTime]]));
const announceArrived = () => {
  for (const [row, [count, at]] of Object.entries(unreadRows())) {
    const [before, since] = counted[row] || [0], more = count - before;
    if (more > 0 && at !== since && row !== openRow()) arrived[row] = (arrived[row] || 0) + more;
  }
  counted = null;
  const counts = Object.values(arrived), sum = counts.reduce((one, other) => one + other, 0);
  if (!sum || Date.now() - announcedAt < 3e4) return;
  announce(`${plural(sum, "new message")} in ${plural(counts.length, "conversation")}`);
  announcedAt = Date.now();
  arrived = {};
};
const isStale = ({ headers }) => new URL(headers["HX-Current-URL"]).pathname !== location.pathname;
listen("htmx:beforeSwap", ({ detail }) => {
  if (detail.target.id !== "conv-list") return;
  const polled = detail.requestConfig.elt === detail.target;
  // Asked for before another conversation was opened: it may lack the open row, and would move the place in the list.
  if (polled && isStale(detail.requestConfig)) {
    detail.shouldSwap = false;
    setTimeout(poll, 0, detail.target);
  }
  counted = polled ? unreadRows() : null;
  if (counted && detail.shouldSwap) detail.serverResponse = withOlderRows(detail.serverResponse);
});
listen("htmx:afterSettle", ({ target }) => {
  if (target.id === "conv-list" && counted) announceArrived();
  rove();
  if (target.closest("#conv-list")) waiting?.();
});
listen("htmx:responseError htmx:sendError htmx:timeout", () => { waiting = null; });

// Back changes one pane.
const listQuery = () => new URL($("conv-list").getAttribute("hx-get"), location).search;
const shownQuery = () => location.search.replace(/&at=\d+/, "");
addEventListener("popstate", (event) => {
  if (!event.state?.htmx || listQuery() !== shownQuery()) return;
  event.stopImmediatePropagation();
  htmx.ajax("GET", location.href, { source: "#thread-pane", swap: "innerHTML show:none" });
});
begin(() => {
  if (!location.search) history.replaceState(history.state, "", listQuery() + location.hash);
  rove();
});

// The time left of a 24-hour window, as in app/web/filters.py.
const windowLeft = (left) => left > 6 * 36e5 || left <= -6 * 864e5 ? ["", ""] : left >= 36e5 ? ["closing", `${floor(left / 36e5)} h left`]
  : left > 0 ? ["urgent", `${Math.max(floor(left / 6e4), 1)} min left`] : ["closed", "Window closed"];
keepShown(() => {
  for (const element of all("[data-until]")) {
    const [state, text] = windowLeft(new Date(element.dataset.until) - Date.now());
    if (element.textContent !== text) element.textContent = text;
    element.dataset.state = state;
  }
});
