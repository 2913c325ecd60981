// One block per behavior; htmx's events first.
(() => {
  const on = {
    before: "htmx:beforeRequest", done: "htmx:afterRequest", settled: "htmx:afterSettle",
    swapping: "htmx:beforeSwap", confirm: "htmx:confirm", restored: "htmx:historyRestore",
    failed: ["htmx:responseError", "htmx:sendError", "htmx:timeout"],
  };
  const listen = (name, act, capture) => document.addEventListener(name, act, capture);
  const clicked = (selector, act) => listen("click", ({ target }) => { const found = target.closest(selector); if (found) act(found); });
  const $ = (id) => document.getElementById(id);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const icon = (name) => `<svg class="icon" aria-hidden="true"><use href="${sprite}#${name}"/></svg>`;
  const sprite = document.querySelector(".icon use")?.getAttribute("href").split("#")[0];

  // The server needs the browser's time zone.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone) document.cookie = `tz=${encodeURIComponent(zone)};path=/;max-age=31536000;samesite=lax`;

  // Times change without an answer of the server.
  const format = (locale, options) => {
    const make = (timeZone) => new Intl.DateTimeFormat(locale, { timeZone, ...options });
    try { return make(document.documentElement.dataset.zone); } catch { return make(); }
  };
  const clock = format("en-GB", { hour: "2-digit", minute: "2-digit" });
  const day = format("en-GB", { day: "numeric", month: "short" });
  const date = format("en-GB", { day: "numeric", month: "short", year: "numeric" });
  const weekday = format("en-GB", { weekday: "short" });
  const isoDate = format("sv-SE");
  const midnight = (at) => Date.parse(isoDate.format(at));
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
    date: (at) => date.format(at),
    ago: (at, now) => ago((now - at) / 1000),
    short: (at, now) => {
      const seconds = (now - at) / 1000;
      if (seconds < 60) return "now";
      if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
      return past(at, now, "") || clock.format(at);
    },
  };
  // The tab's title begins with the number of unread conversations.
  const showUnread = () => {
    const unread = $("rail-unread")?.firstChild?.textContent.trim();
    const title = document.title.replace(/^\((\d+|99\+)\) /, "");
    document.title = unread ? `(${unread}) ${title}` : title;
  };
  const tick = () => {
    showUnread();
    const now = new Date();
    for (const element of all("time[data-show]")) {
      const at = new Date(element.dateTime);
      const text = (words[element.dataset.show] || words.clock)(at, now);
      if (element.textContent !== text) element.textContent = text;
    }
    showUpdated();
  };

  // Morphs keep typed text and open details.
  Idiomorph.defaults.ignoreActiveValue = true;
  Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, _, change) => name !== "open" || change !== "remove";

  // Polls pause in a hidden tab.
  let paused = false;
  listen(on.before, (event) => {
    const { elt, requestConfig } = event.detail;
    if (elt.dataset.poll && !requestConfig.triggeringEvent && (document.hidden || (paused && elt.dataset.poll !== "jobs"))) event.preventDefault();
    else if (elt.dataset.poll === "list") triedAt = Date.now();
  });
  const poll = (element) => htmx.trigger(element, "poll:now");
  const pollNow = () => all("[data-poll]").forEach(poll);
  listen("visibilitychange", () => {
    if (!document.hidden && !paused) pollNow();
    if (atEnd) readAll();
  });

  // A banner when nothing answers, or after two errors.
  let updatedAt = Date.now(), triedAt = updatedAt, failures = 0;
  const setText = (id, text) => { $(id).textContent = text; };
  function showUpdated() {
    const pane = $("list-pane");
    if (!pane) return;
    $("pause").setAttribute("aria-pressed", paused);
    const seconds = Math.floor((Date.now() - updatedAt) / 1000);
    const age = seconds < 5 || seconds > 59 ? ago(seconds) : `${seconds} s ago`;
    pane.dataset.live = paused ? "paused" : failures > 1 ? "stale" : "live";
    setText("updated", paused ? "Paused" : `Updated ${age}`);
    $("stale").hidden = failures < 2;
    setText("stale-age", age);
    setText("stale-next", Math.max(0, Math.ceil(30 - (Date.now() - triedAt) / 1000)));
  }
  setInterval(showUpdated, 1000);
  function failed(count) {
    if (!$("list-pane")) return;
    if (failures < 2 && failures + count > 1) setText("alerter", "Can’t reach the server. Older messages are shown.");
    failures += count;
    showUpdated();
  }
  addEventListener("offline", () => failed(2));
  addEventListener("online", () => pollNow());
  listen(on.done, ({ detail: { elt, successful } }) => {
    if (!successful) return;
    if (elt.dataset.poll !== "list") { if (failures > 1) poll($("conv-list")); return; }
    if (failures > 1) { setText("alerter", ""); announce("Connection restored"); }
    failures = 0;
    updatedAt = Date.now();
    showUpdated();
  });
  for (const name of on.failed) listen(name, ({ detail: { xhr, elt } }) => {
    if (!xhr.status) failed(2);
    else if (xhr.status >= 500) failed(1);
    if (elt.dataset.poll) { if (elt.dataset.poll === "thread") poll($("conv-list")); return; }
    if ([401, 422].includes(xhr.status)) return;
    htmx.trigger(document.body, "inbox:refresh");
    if (!(xhr.getResponseHeader("HX-Trigger") || "").includes("toast"))
      toast({ text: `${xhr.status ? "That didn’t work" : "No connection"}. Nothing was changed.`, kind: "error" });
  });
  clicked("#pause, #stale-retry", ({ id }) => {
    if (id === "pause") paused = !paused;
    if (!paused) pollNow();
    showUpdated();
  });

  // Toasts and announcements.
  const announce = (text) => setText("announcer", text);
  function toast({ text, kind = "info" }) {
    const box = $("toast-form").content.firstElementChild.cloneNode(true);
    box.dataset.kind = kind;
    box.querySelector("p").textContent = text;
    for (const other of $("toasts").children) if (other.textContent === box.textContent) other.remove();
    $("toasts").append(box);
    while ($("toasts").children.length > 3) $("toasts").firstElementChild.remove();
    if (kind === "error") return;
    setTimeout(function leave() { box.matches(":hover, :focus-within") ? setTimeout(leave, 1000) : box.remove(); }, 8000);
  }
  clicked(".toast button", (button) => button.parentElement.remove());
  const tell = (news) => { toast(news); announce(news.text); };
  listen("toast", ({ detail }) => tell(detail));
  listen("announce", (event) => announce(event.detail.text || event.detail.value));

  // The result of a refresh.
  let awaited;
  listen("lookup:requested", ({ detail: { url } }) => {
    awaited = url;
    for (const ms of [1e3, 2e3, 4e3]) setTimeout(() => { if (awaited === url) htmx.ajax("GET", url, { swap: "none" }); }, ms);
  });
  listen("lookup:ended", () => { awaited = null; });

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

  // Missing pictures, also those that failed before this script ran.
  function replaceMissing(image) {
    const words = image.dataset.gone, gone = document.createElement(words ? "p" : "span");
    gone.className = words ? "placeholder placeholder-media" : image.className;
    gone.textContent = words || "";
    (words ? image.closest(".media") : image).replaceWith(gone);
  }
  listen("error", ({ target }) => { if (target instanceof HTMLImageElement) replaceMissing(target); }, true);

  // A thread stays at its end; elsewhere a pill counts.
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
    readAll();
  }
  function readAll() {
    if (document.hidden || !unseen) return;
    const { id } = openThread().dataset, { arrivals } = $(`msgs-${id}`).dataset;
    htmx.ajax("POST", `/inbox/${id}/read?arrivals=${arrivals}`, { swap: "none" });
    showUnseen(0);
  }
  function showUnseen(count) {
    const pill = $("thread-new");
    unseen = count;
    pill.hidden = !count;
    pill.innerHTML = many(count, "new message") + icon("arrow-down");
  }
  listen("scroll", ({ target }) => {
    if (target !== scroller()) return;
    atEnd = target.scrollHeight - target.scrollTop - target.clientHeight <= 48;
    if (atEnd) readAll();
  }, true);
  clicked("#thread-new", toEnd);
  function opened() {
    const left = currentRow(), row = document.querySelector(`#${openRow()} .row-link`);
    left?.removeAttribute("aria-current");
    unseen = 0;
    toEnd();
    if (!openThread()) { focusRow(left); return; }
    if (row) {
      row.scrollIntoView({ block: "nearest" });
      row.setAttribute("aria-current", "true");
      delete row.dataset.unread;
      row.querySelector(".row-badge")?.remove();
    }
    if (byKeyboard || document.activeElement === document.body || !document.activeElement.checkVisibility()) scroller().focus();
  }
  function grown() {
    const box = scroller(), thread = openThread(), { ids, older, fromEnd, wasAtEnd } = before;
    const fresh = theirs().filter((id) => !ids.includes(id)), count = fresh.length;
    before = null;
    if (older) box.scrollTop = box.scrollHeight - fromEnd;
    else if (count) {
      announce(count > 1 ? many(count, "new message") : `${thread.dataset.name}: ${$(fresh[0]).innerText.trim().slice(0, 80)}`);
      unseen += count;
      if (!wasAtEnd) { showUnseen(unseen); poll($("conv-list")); }
    }
    if (wasAtEnd && !older) toEnd();
  }
  listen(on.swapping, ({ detail }) => {
    const { target, requestConfig } = detail, box = scroller();
    if (target.id.startsWith("msgs-"))
      before = { wasAtEnd: atEnd, ids: theirs(), fromEnd: box.scrollHeight - box.scrollTop, older: requestConfig.elt.id.startsWith("older") };
    if (target.id !== "conv-list") return;
    counted = requestConfig.elt === target ? unreadRows() : null;
    if (counted && detail.shouldSwap) detail.serverResponse = withOlderRows(detail.serverResponse);
  });
  function withOlderRows(answer) {
    const fresh = new DOMParser().parseFromString(answer, "text/html"), more = fresh.getElementById("more");
    if (!more) return answer;
    const list = more.parentElement, at = (row) => row.querySelector("time")?.dateTime || "";
    more.remove();
    const last = at(list.lastElementChild);
    for (const row of all("#conv-list li")) if (at(row) <= last && !fresh.getElementById(row.id)) list.append(row.cloneNode(true));
    fresh.getElementById("conv-limit").setAttribute("value", all(".row", list).length);
    return fresh.body.innerHTML;
  }
  listen(on.settled, ({ target }) => {
    if (target.id === "thread-pane") opened();
    else if (target.id?.startsWith("msgs-") && before) grown();
    else if (target.id === "conv-list" && counted) tellArrived();
    rove();
    tick();
  });
  listen("inbox:refresh", () => all("[data-poll=thread]").forEach(poll));

  // New messages are announced at most every 30 s.
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

  // The list is one tab stop.
  const rows = () => all("#conv-list .row-link");
  const currentRow = () => rows().find((link) => link.hasAttribute("aria-current"));
  const focusRow = (link) => { if (link) { rove(link); link.focus(); } };
  let byKeyboard = false;
  function rove(target) {
    const links = rows(), stop = target || links.find((link) => link === document.activeElement)
      || currentRow() || links[0];
    for (const link of links) link.tabIndex = link === stop ? 0 : -1;
  }
  function move(step) {
    const links = rows(), here = links.indexOf(document.activeElement), current = links.indexOf(currentRow());
    if (here >= 0) focusRow(links[Math.min(Math.max(here + step, 0), links.length - 1)]);
    else if (!openThread()) focusRow(links[Math.max(current, 0)]);
    else if (links[current + step]) {
      byKeyboard = true;
      links[current + step].click();
    }
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
  function mark() {
    const row = document.activeElement.closest(".row-link");
    if (row) htmx.ajax("POST", `${row.pathname}/${row.dataset.unread ? "read" : "unread"}`, { swap: "none" });
    else press("u");
  }
  const keys = {
    j: () => move(1), k: () => move(-1), "/": () => $("q")?.focus(), r: () => press("r"), u: mark,
    g: () => { going = Date.now(); }, "?": () => $("shortcuts")?.showModal(),
  };
  listen("keydown", (event) => {
    const field = event.target.closest("input, textarea, select");
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("dialog")) return;
    if (event.key === "Escape") {
      const menu = document.querySelector(".menu[open]");
      if (menu) {
        menu.open = false;
        menu.firstElementChild.focus();
      } else if (document.querySelector(":popover-open")) return;
      else if (field?.id === "q" && field.value) {
        event.preventDefault();
        field.value = "";
        field.form.requestSubmit();
      } else if (field) field.blur();
      else document.querySelector('.row-link[tabindex="0"]')?.focus();
      return;
    }
    if (field) {
      if (field.id === "q" && event.key === "ArrowDown") { event.preventDefault(); focusRow(rows()[0]); }
      return;
    }
    if (openThread() && /^( |Page|Home|End|Arrow)/.test(event.key) && !event.target.closest("a, button, summary, .scroll")) scroller().focus();
    const inList = event.target.closest("#conv-list"), steps = { ArrowDown: 1, ArrowUp: -1, Home: -1e9, End: 1e9 };
    if (inList && event.key in steps) { event.preventDefault(); move(steps[event.key]); return; }
    if (inList && event.key === "Enter") { byKeyboard = true; return; }
    const key = event.key.toLowerCase();
    if (!shortcutsOn() || (event.repeat && key !== "j" && key !== "k")) return;
    const target = Date.now() - going < 1200 && document.querySelector(`[data-go="${key}"]`);
    if (target) { going = 0; target.click(); } else if (keys[key]) { event.preventDefault(); keys[key](); }
  });
  listen("pointerdown", () => { byKeyboard = false; });
  // Modified clicks open tabs.
  listen("click", (event) => {
    if ((event.ctrlKey || event.metaKey || event.shiftKey) && event.target.closest("a[hx-get]")) event.stopPropagation();
  }, true);

  // Back changes one pane.
  const listQuery = () => new URL($("conv-list").getAttribute("hx-get"), location).search;
  addEventListener("popstate", (event) => {
    if (!event.state?.htmx || !$("conv-list") || listQuery() !== location.search) return;
    event.stopImmediatePropagation();
    htmx.ajax("GET", location.href, { source: "#thread-pane", swap: "innerHTML show:none" });
  });

  function begin() {
    for (const image of [...document.images]) if (image.complete && !image.naturalWidth) replaceMissing(image);
    if ($("conv-list") && !location.search) history.replaceState(history.state, "", listQuery() + location.hash);
    showSwitches();
    rove();
    toEnd();
    tick();
  }
  listen(on.restored, begin);
  begin();
  setInterval(tick, 30000);
})();
