// An open thread stays at its end until the reader scrolls up; elsewhere a button counts new messages.
let atEnd = true, place = 0, unseen = 0, before = null;
const scroller = () => $("messages-scroll");
const received = () => all(".talk:not([data-side=ours]) .message").map((message) => message.id);
const showUnseen = (count) => {
  const button = $("thread-new");
  unseen = count;
  button.hidden = !count;
  button.firstChild.textContent = plural(count, "new message");
};
const mark = (path, as) => htmx.ajax("POST", `${path}/${as}`, { swap: "none" });
const markRead = ({ id }) => mark(`/inbox/${id}`, `read?arrivals=${$(`msgs-${id}`).dataset.arrivals}`);
const readAll = () => {
  if (document.hidden || !unseen) return;
  markRead(openThread().dataset);
  showUnseen(0);
};
// While the line above the first new message is out of sight.
const showFirst = () => {
  const link = $("thread-first"), line = $("new");
  if (link && (!line || line.getBoundingClientRect().top + 1 >= scroller().getBoundingClientRect().top)) link.remove();
};
const toEnd = () => {
  const box = scroller();
  if (box) box.scrollTop = box.scrollHeight;
  place = box?.scrollTop;
  atEnd = true;
  readAll();
};
const leftBelow = () => (({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight)(scroller());
// The first pixel upward leaves the end: a scroll that has begun must not be undone.
const look = () => {
  const { scrollTop } = scroller();
  if (scrollTop !== place) atEnd = leftBelow() <= (scrollTop < place ? 0.5 : 48);
  place = scrollTop;
};
const toFound = () => {
  const found = document.querySelector("[data-found]");
  if (!found) { toEnd(); return; }
  found.scrollIntoView({ block: "center" });
  place = scroller().scrollTop;
  atEnd = leftBelow() <= 48;
};
const opened = () => {
  const left = currentRow(), link = document.querySelector(`#${openRow()} .row-link`);
  left?.removeAttribute("aria-current");
  unseen = 0;
  toFound();
  showFirst();
  if (!openThread()) {
    if (left) focusRow(left); else $("conv-scroll").focus();
    return;
  }
  if (link) {
    link.scrollIntoView({ block: "nearest" });
    link.setAttribute("aria-current", "true");
    delete link.dataset.unread;
    link.querySelector(".row-badge")?.remove();
  }
  if (byKeyboard || document.activeElement === document.body || !document.activeElement.checkVisibility()) scroller().focus();
};
const grown = () => {
  const box = scroller(), { ids, older, fromEnd, wasAtEnd } = before;
  const fresh = received().filter((id) => !ids.includes(id)), count = fresh.length;
  before = null;
  if (older) box.scrollTop = box.scrollHeight - fromEnd;
  else if (count) {
    announce(count > 1 ? plural(count, "new message")
      : `${openThread().dataset.name}: ${$(fresh[0]).innerText.trim().slice(0, 80)}`);
    unseen += count;
    if (!wasAtEnd) { showUnseen(unseen); poll($("conv-list")); }
  }
  if (wasAtEnd && !older) toEnd();
};
clicked("#thread-new", toEnd);
clicked("#thread-first", (link, event) => {
  event.preventDefault();
  scroller().focus();
  $("new").scrollIntoView();
});
listen("visibilitychange", () => { if (atEnd) readAll(); });
listen("scroll scrollend", ({ target, type }) => {
  if (target !== scroller()) return;
  look();
  showFirst();
  if (type === "scrollend") atEnd = leftBelow() <= 48;
  if (atEnd) readAll();
}, true);
// A smooth scroll that a key or the wheel starts moves in the next frame only.
listen("keydown wheel", ({ target, key, deltaY }) => {
  if (scroller()?.contains(target) && (deltaY < 0 || ["ArrowUp", "PageUp", "Home"].includes(key)) && place) atEnd = false;
});
listen("htmx:beforeSwap", ({ detail: { target, requestConfig } }) => {
  if (!target.id.startsWith("msgs-")) return;
  look();
  const box = scroller();
  before = {
    wasAtEnd: atEnd, ids: received(), fromEnd: box.scrollHeight - box.scrollTop, older: requestConfig.elt.id.startsWith("older"),
  };
});
// Not later, after settling: the reader may have scrolled by then.
listen("htmx:afterSwap", ({ target }) => {
  if (target.id === "thread-pane") opened();
  else if (target.id?.startsWith("msgs-") && before) grown();
});
listen("inbox:refresh", () => all("[data-poll=thread]").forEach(poll));
begin(() => { toFound(); showFirst(); });

// The result of a refresh is asked for until it is known.
let awaited;
listen("lookup:requested", ({ detail: { url, seconds } }) => {
  awaited = url;
  for (const each of seconds) setTimeout(() => { if (awaited === url) htmx.ajax("GET", url, { swap: "none" }); }, each * 1000);
});
listen("lookup:ended", () => { awaited = null; });
