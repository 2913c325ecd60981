// One block per behaviour. All names of htmx's events stand in the first.
(() => {
  "use strict";
  const on = {
    before: "htmx:beforeRequest", done: "htmx:afterRequest", settled: "htmx:afterSettle",
    swapping: "htmx:beforeSwap", confirm: "htmx:confirm", restored: "htmx:historyRestore",
  };
  const listen = (name, act, capture) => document.addEventListener(name, act, capture);
  const clicked = (selector, act) => listen("click", ({ target }) => { const found = target.closest(selector); if (found) act(found); });
  const $ = (id) => document.getElementById(id);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const icon = (name) => `<svg class="icon" aria-hidden="true"><use href="${sprite}#${name}"/></svg>`;
  const sprite = document.querySelector(".icon use")?.getAttribute("href").split("#")[0];

  // The server shows days in the reader's time zone.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone) document.cookie = `tz=${encodeURIComponent(zone)};path=/;max-age=31536000;samesite=lax`;

  // Times are kept true here: unchanged pages are not sent again.
  const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
  const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
  const weekday = new Intl.DateTimeFormat("en-GB", { weekday: "short" });
  const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate());
  const ago = (seconds) => seconds < 60 ? "just now" : seconds < 3600 ? `${Math.floor(seconds / 60)} min ago`
    : seconds < 86400 ? `${Math.floor(seconds / 3600)} h ago` : `${Math.floor(seconds / 86400)} d ago`;
  const past = (at, now, rest) => {
    const days = Math.round((midnight(now) - midnight(at)) / 864e5);
    return days && (days === 1 ? "Yesterday" : days > 1 && days < 7 ? weekday.format(at) : day.format(at)) + rest;
  };
  const words = {
    clock: (at, now) => past(at, now, `, ${clock.format(at)}`) || clock.format(at),
    time: (at) => clock.format(at),
    span: (at, now) => {
      const minutes = Math.max(0, Math.floor((at - now) / 6e4)), hours = Math.floor(minutes / 60);
      return hours >= 48 ? `${Math.floor(hours / 24)} d` : hours ? `${hours} h ${String(minutes % 60).padStart(2, "0")} m` : `${minutes} m`;
    },
    date: (at) => `${day.format(at)} ${at.getFullYear()}`,
    ago: (at, now) => ago((now - at) / 1000),
    short: (at, now) => {
      const seconds = (now - at) / 1000;
      if (seconds < 60) return "now";
      if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
      return past(at, now, "") || clock.format(at);
    },
  };
  const tick = () => {
    const now = new Date();
    for (const element of all("time[data-show]")) {
      const at = new Date(element.dateTime);
      const text = (words[element.dataset.show] || words.clock)(at, now);
      if (element.textContent !== text) element.textContent = text;
    }
    showUpdated();
  };

  // Morphs keep what is typed and unfolded.
  Idiomorph.defaults.ignoreActiveValue = true;
  Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, _, change) => name !== "open" || change !== "remove";

  // Polls: silent in a hidden tab and while paused, but for jobs.
  let paused = false;
  listen(on.before, (event) => {
    const { elt, requestConfig } = event.detail;
    const byTimer = elt.dataset.poll && !requestConfig.triggeringEvent;
    if (byTimer && (document.hidden || (paused && elt.dataset.poll !== "jobs"))) event.preventDefault();
    else if (elt.dataset.poll === "list") triedAt = Date.now();
  });
  const poll = (element) => htmx.trigger(element, "poll:now");
  const pollNow = () => all("[data-poll]").forEach(poll);
  listen("visibilitychange", () => { if (!document.hidden && !paused) pollNow(); });

  // How old the list is; a banner from the second failure on.
  let updatedAt = Date.now(), triedAt = updatedAt, failures = 0;
  function showUpdated() {
    const pane = $("list-pane");
    if (!pane) return;
    $("pause").setAttribute("aria-pressed", paused);
    const seconds = (Date.now() - updatedAt) / 1000;
    pane.dataset.live = paused ? "paused" : failures > 1 ? "stale" : "live";
    $("updated").textContent = paused ? "Paused" : `Updated ${ago(seconds)}`;
    $("stale").hidden = failures < 2;
    $("stale-since").textContent = ago(seconds).replace(" ago", "").replace("just now", "a moment");
    $("stale-next").textContent = Math.max(0, Math.ceil(30 - (Date.now() - triedAt) / 1000));
  }
  setInterval(() => { if (failures > 1) showUpdated(); }, 1000);
  listen(on.done, (event) => {
    const { elt, successful } = event.detail, wasDown = failures > 1;
    if (elt.dataset.poll !== "list") return;
    if (successful) { failures = 0; updatedAt = Date.now(); } else failures += 1;
    if (failures === 2) $("alerter").textContent = "Can’t reach the server. Older messages are shown.";
    if (wasDown && !failures) { $("alerter").textContent = ""; announce("Connection restored"); }
    showUpdated();
  });
  clicked("#pause, #stale-retry", ({ id }) => {
    if (id === "pause") paused = !paused;
    if (!paused) pollNow();
    showUpdated();
  });

  // Toasts and announcements.
  const announce = (text) => { $("announcer").textContent = text; };
  function toast({ text, kind = "info" }) {
    const box = $("toast-form").content.firstElementChild.cloneNode(true);
    box.dataset.kind = kind;
    box.querySelector("p").textContent = text;
    $("toasts").append(box);
    while ($("toasts").children.length > 3) $("toasts").firstElementChild.remove();
    if (kind === "error") return;
    setTimeout(function leave() { box.matches(":hover, :focus-within") ? setTimeout(leave, 1000) : box.remove(); }, 8000);
  }
  clicked(".toast button", (button) => button.parentElement.remove());
  const tell = (news) => { toast(news); announce(news.text); };
  listen("toast", ({ detail }) => tell(detail));
  listen("announce", (event) => announce(event.detail.text || event.detail.value));
  listen(on.done, ({ detail: { xhr, elt, successful } }) => {
    if (elt.dataset.poll || successful || [401, 422].includes(xhr.status)) return;
    htmx.trigger(document.body, "inbox:refresh");
    if (!(xhr.getResponseHeader("HX-Trigger") || "").includes("toast"))
      toast({ text: xhr.status ? "That didn’t work. Nothing was changed." : "No connection. Nothing was changed.", kind: "error" });
  });

  // Questions are asked in a dialog of our own.
  listen(on.confirm, (event) => {
    if (!event.detail.question) return;
    event.preventDefault();
    const dialog = $("confirm"), { elt, question, path, verb, issueRequest } = event.detail;
    asked = elt;
    $("confirm-question").textContent = question;
    $("confirm-no").textContent = elt.dataset.no || "Keep";
    $("confirm-yes").textContent = elt.dataset.yes || "Continue";
    dialog.returnValue = "no";
    dialog.addEventListener("close", () => {
      asked = null;
      if (dialog.returnValue !== "yes") return;
      if (elt.isConnected) issueRequest(true);
      else htmx.ajax(verb, path, { target: elt.getAttribute("hx-target"), swap: elt.getAttribute("hx-swap") });
    }, { once: true });
    dialog.showModal();
  });
  // A poll may replace the form that asks, or remove it: then what it asks about has ended.
  let asked = null;
  listen(on.settled, () => {
    if (!asked?.id || $(asked.id)) return;
    tell({ text: asked.dataset.gone });
    $("confirm").close("no");
  });
  clicked("[data-open-dialog]", ({ dataset }) => $(dataset.openDialog).showModal());
  clicked("[data-copy]", ({ dataset }) => navigator.clipboard?.writeText(dataset.copy).then(() => tell({ text: "Copied." })));
  listen("click", ({ target }) => { for (const menu of all(".menu[open]")) menu.open = menu.contains(target); });

  // A selection in a list: how many, and the API calls they use. Shift selects a range.
  let pickedLast = null;
  function showPicks(form) {
    const bar = form.querySelector(".bulk"), boxes = all("[data-pick]", form), count = boxes.filter((box) => box.checked).length;
    if (!bar) return;
    const every = bar.querySelector("[data-pick-all]"), left = bar.dataset.callsLeft;
    every.checked = count === boxes.length;
    every.indeterminate = count > 0 && !every.checked;
    bar.querySelector("button").disabled = !count;
    bar.querySelector(".bulk-count").textContent = count
      ? `${count} selected${left ? `: ${many(count, "API call")} of ${left} left` : ""}` : "None selected";
  }
  listen("click", ({ target, shiftKey }) => {
    if (!target.matches("[data-pick], [data-pick-all]")) return;
    const form = target.closest("[data-picks]"), boxes = all("[data-pick]", form);
    const [from, to] = target.matches("[data-pick-all]") ? [0, boxes.length - 1]
      : [boxes.indexOf(target), shiftKey && boxes.includes(pickedLast) ? boxes.indexOf(pickedLast) : boxes.indexOf(target)].sort((a, b) => a - b);
    for (const box of boxes.slice(from, to + 1)) box.checked = target.checked;
    pickedLast = target;
    showPicks(form);
  });
  listen(on.done, ({ detail: { elt, successful } }) => {
    if (!successful || !elt.matches("[data-picks]")) return;
    for (const box of all("[data-pick]", elt)) box.checked = false;
    setTimeout(() => showPicks(elt));
  });

  // A picture that is gone becomes words, or a disc.
  listen("error", (event) => {
    const image = event.target;
    if (!(image instanceof HTMLImageElement)) return;
    const words = image.dataset.gone, gone = document.createElement(words ? "p" : "span");
    gone.className = words ? "placeholder placeholder-media" : image.className;
    gone.textContent = words || "";
    (words ? image.closest(".media") : image).replaceWith(gone);
  }, true);

  // The thread stays at its end; a pill counts for who is elsewhere.
  let atEnd = true, unseen = 0, before = null;
  const scroller = () => $("messages-scroll");
  const openThread = () => document.querySelector(".thread");
  const openRow = () => `c${openThread()?.dataset.id}`;
  const theirs = () => all(".talk:not([data-side=ours]) .message").map((message) => message.id);
  const many = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;
  function toEnd() {
    const box = scroller();
    if (box) box.scrollTop = box.scrollHeight;
    atEnd = true;
    showUnseen(0);
  }
  function showUnseen(count) {
    unseen = count;
    const pill = $("thread-new");
    if (!pill) return;
    pill.hidden = !count;
    pill.innerHTML = many(count, "new message") + icon("arrow-down");
  }
  listen("scroll", ({ target }) => {
    if (target !== scroller()) return;
    atEnd = target.scrollHeight - target.scrollTop - target.clientHeight <= 48;
    if (atEnd && unseen) showUnseen(0);
  }, true);
  clicked("#thread-new", toEnd);
  function opened() {
    for (const row of rows()) row.toggleAttribute("aria-current", false);
    document.querySelector(`#${openRow()} .row-link`)?.setAttribute("aria-current", "true");
    toEnd();
    if (byKeyboard) $("thread-name")?.focus();
  }
  function grown() {
    const box = scroller(), thread = openThread(), { ids, older, fromEnd } = before;
    const fresh = theirs().filter((id) => !ids.includes(id)), count = fresh.length;
    before = null;
    if (older) box.scrollTop = box.scrollHeight - fromEnd;
    else if (count) {
      announce(count > 1 ? many(count, "new message") : `${thread.dataset.name}: ${$(fresh[0]).innerText.trim().slice(0, 80)}`);
      if (!atEnd) showUnseen(unseen + count);
      else if (!document.hidden) {
        const { arrivals } = $(`msgs-${thread.dataset.id}`).dataset;
        htmx.ajax("POST", `/inbox/${thread.dataset.id}/read?arrivals=${arrivals}`, { source: thread, swap: "none" });
      }
    }
    if (atEnd && !older) toEnd();
  }
  listen(on.swapping, ({ detail: { target, requestConfig } }) => {
    const box = scroller();
    before = target.getAttribute("id")?.startsWith("msgs-") && box
      ? { ids: theirs(), fromEnd: box.scrollHeight - box.scrollTop, older: requestConfig.elt.getAttribute("id")?.startsWith("older") } : null;
    counted = target.id === "conv-list" && requestConfig.elt === target ? unreadRows() : null;
  });
  listen(on.settled, ({ target }) => {
    if (target.id === "thread-pane") opened();
    else if (target.getAttribute?.("id")?.startsWith("msgs-") && before) grown();
    else if (target.id === "conv-list" && counted) tellArrived();
    rove();
    tick();
  });
  listen("inbox:refresh", () => all("[data-poll=thread]").forEach(poll));

  // What is new in the list is told at most every 30 s.
  let counted = null, toldAt = 0, arrived = {};
  const unreadRows = () => Object.fromEntries(rows().map((link) => [link.parentElement.id, +(link.dataset.unread || 0)]));
  function tellArrived() {
    for (const [row, count] of Object.entries(unreadRows())) {
      const more = count - (counted[row] || 0);
      if (more > 0 && row !== openRow()) arrived[row] = (arrived[row] || 0) + more;
    }
    counted = null;
    const counts = Object.values(arrived), sum = counts.reduce((all, one) => all + one, 0);
    if (!sum || Date.now() - toldAt < 3e4) return;
    announce(`${many(sum, "new message")} in ${many(counts.length, "conversation")}`);
    toldAt = Date.now();
    arrived = {};
  }

  // The list is one tab stop; keys move within it.
  const rows = () => all("#conv-list .row-link");
  let byKeyboard = false;
  function rove(target) {
    const links = rows(), stop = target || links.find((link) => link === document.activeElement)
      || links.find((link) => link.hasAttribute("aria-current")) || links[0];
    for (const link of links) link.tabIndex = link === stop ? 0 : -1;
  }
  function move(step) {
    const links = rows(), here = links.indexOf(document.activeElement);
    const start = links.findIndex((link) => link.hasAttribute("aria-current"));
    const next = here < 0 ? links[Math.max(start, 0)] : links[Math.min(Math.max(here + step, 0), links.length - 1)];
    if (next) { rove(next); next.focus(); }
  }
  const settingKey = "nametag:shortcuts";
  const shortcutsOn = () => localStorage.getItem(settingKey) !== "off";
  const showSwitches = () => all("[data-shortcuts]").forEach((each) => { each.checked = shortcutsOn(); });
  listen("change", ({ target }) => {
    if (!target.matches("[data-shortcuts]")) return;
    localStorage.setItem(settingKey, target.checked ? "on" : "off");
    showSwitches();
  });
  let going = 0;
  const press = (key) => document.querySelector(`[data-key="${key}"]`)?.click();
  const keys = {
    j: () => move(1), k: () => move(-1), "/": () => $("q")?.focus(), r: () => press("r"), u: () => press("u"),
    g: () => { going = Date.now(); }, "?": () => $("shortcuts")?.showModal(),
  };
  listen("keydown", (event) => {
    const field = event.target.closest("input, textarea, select");
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("dialog")) return;
    if (event.key === "Escape") {
      if (field) field.blur();
      else document.querySelector('.row-link[tabindex="0"]')?.focus();
      return;
    }
    if (field) return;
    const inList = event.target.closest("#conv-list"), steps = { ArrowDown: 1, ArrowUp: -1, Home: -1e9, End: 1e9 };
    if (inList && event.key in steps) { event.preventDefault(); move(steps[event.key]); return; }
    if (inList && event.key === "Enter") { byKeyboard = true; return; }
    const key = event.key.toLowerCase();
    if (!shortcutsOn() || (event.repeat && key !== "j" && key !== "k")) return;
    const target = Date.now() - going < 1200 && document.querySelector(`[data-go="${key}"]`);
    if (target) { going = 0; target.click(); } else if (keys[key]) { event.preventDefault(); keys[key](); }
  });
  listen("pointerdown", () => { byKeyboard = false; });
  clicked(".row-link", (link) => { delete link.dataset.unread; link.querySelector(".row-badge")?.remove(); });

  function begin() {
    showSwitches();
    all("[data-picks]").forEach(showPicks);
    rove();
    toEnd();
    tick();
  }
  listen(on.restored, begin);
  begin();
  setInterval(tick, 30000);
})();
