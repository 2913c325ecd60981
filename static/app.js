// One block per behaviour. All names of htmx's events stand in the first.
(() => {
  "use strict";
  const on = {
    configured: "htmx:configRequest", before: "htmx:beforeRequest", done: "htmx:afterRequest", settled: "htmx:afterSettle",
    confirm: "htmx:confirm", beforeSwap: "htmx:beforeSwap", sendError: "htmx:sendError", timeout: "htmx:timeout",
  };
  const $ = (id) => document.getElementById(id);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const icon = (name) => `<svg class="icon" aria-hidden="true"><use href="${sprite}#${name}"/></svg>`;
  const sprite = document.querySelector(".icon use")?.getAttribute("href").split("#")[0];

  // The server shows days in the reader's time zone.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone) document.cookie = `tz=${encodeURIComponent(zone)};path=/;max-age=31536000;samesite=lax`;

  // Times: unchanged pages are not sent again, so their words are kept true here.
  const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
  const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
  const weekday = new Intl.DateTimeFormat("en-GB", { weekday: "short" });
  const exact = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "medium" });
  const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate());
  const ago = (seconds) => seconds < 60 ? "just now" : seconds < 3600 ? `${Math.floor(seconds / 60)} min ago`
    : seconds < 86400 ? `${Math.floor(seconds / 3600)} h ago` : `${Math.floor(seconds / 86400)} d ago`;
  const past = (at, now, rest) => {
    const days = Math.round((midnight(now) - midnight(at)) / 864e5);
    return days && (days === 1 ? "Yesterday" : days > 1 && days < 7 ? weekday.format(at) : day.format(at)) + rest;
  };
  const words = {
    clock: (at, now) => past(at, now, `, ${clock.format(at)}`) || clock.format(at),
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
      element.title = exact.format(at);
    }
    showUpdated();
  };

  // Polls: silent in a hidden tab and while paused, except for a job that somebody watches.
  let paused = false;
  const polls = () => all("[data-poll]");
  document.addEventListener(on.before, (event) => {
    const { elt, requestConfig } = event.detail;
    const byTimer = elt.dataset.poll && !requestConfig.triggeringEvent;
    if (byTimer && (document.hidden || (paused && elt.dataset.poll !== "jobs"))) event.preventDefault();
  });
  const pollNow = () => polls().forEach((element) => htmx.trigger(element, "poll:now"));
  document.addEventListener("visibilitychange", () => { if (!document.hidden && !paused) pollNow(); });
  $("pause")?.addEventListener("click", (event) => {
    paused = !paused;
    const button = event.currentTarget, title = paused ? "Resume automatic updates" : "Pause automatic updates";
    button.setAttribute("aria-pressed", paused);
    button.setAttribute("aria-label", title);
    button.title = title;
    button.innerHTML = icon(paused ? "player-play" : "player-pause");
    if (!paused) pollNow();
    showUpdated();
  });

  // How old the list is; a banner from the second failure in a row on.
  let updatedAt = Date.now(), failures = 0;
  function showUpdated() {
    const pane = $("list-pane");
    if (!pane) return;
    const seconds = (Date.now() - updatedAt) / 1000;
    const state = paused ? "paused" : failures > 1 ? "stale" : "live";
    const text = paused ? "Paused" : `Updated ${ago(seconds)}`;
    if (pane.dataset.live !== state) pane.dataset.live = state;
    if ($("updated").textContent !== text) $("updated").textContent = text;
    $("stale").hidden = failures < 2;
    $("stale-since").textContent = ago(seconds).replace(" ago", "").replace("just now", "a moment");
  }
  document.addEventListener(on.done, (event) => {
    if (event.detail.elt.dataset.poll !== "list" || !event.detail.xhr) return;
    const status = event.detail.xhr.status, wasDown = failures > 1;
    if (status >= 200 && status < 400) { failures = 0; updatedAt = Date.now(); } else failures += 1;
    if (failures === 2) $("alerter").textContent = "Can’t reach the server. Older messages are shown.";
    if (wasDown && !failures) { $("alerter").textContent = ""; announce("Connection restored"); }
    showUpdated();
  });
  $("stale-retry")?.addEventListener("click", pollNow);

  // Toasts and announcements, from the server's HX-Trigger or from here.
  const announce = (text) => { $("announcer").textContent = text; };
  function toast({ text, kind = "info" }) {
    const box = document.createElement("div"), words = document.createElement("p"), close = document.createElement("button");
    box.className = "toast";
    box.dataset.kind = kind;
    box.innerHTML = icon({ done: "circle-check", error: "alert-circle" }[kind] || "info-circle");
    words.textContent = text;
    close.className = "icon-button";
    close.setAttribute("aria-label", "Dismiss");
    close.innerHTML = icon("x");
    close.addEventListener("click", () => box.remove());
    box.append(words, close);
    $("toasts").append(box);
    while ($("toasts").children.length > 3) $("toasts").firstElementChild.remove();
    if (kind === "error") return;
    let left = 8;
    const timer = setInterval(() => {
      if (!box.matches(":hover, :focus-within") && (left -= 1) <= 0) { box.remove(); clearInterval(timer); }
    }, 1000);
  }
  document.addEventListener("toast", (event) => { toast(event.detail); announce(event.detail.text); });
  document.addEventListener("announce", (event) => announce(event.detail.text || event.detail.value));
  document.addEventListener(on.done, (event) => {
    const { xhr, elt } = event.detail;
    if (!xhr || elt.dataset.poll || (xhr.status >= 200 && xhr.status < 400) || xhr.status === 401 || xhr.status === 422) return;
    if (!(xhr.getResponseHeader("HX-Trigger") || "").includes("toast"))
      toast({ text: xhr.status ? "That didn’t work. Nothing was changed." : "No connection. Nothing was changed.", kind: "error" });
  });

  // Questions are asked in a dialog of our own.
  document.addEventListener(on.confirm, (event) => {
    if (!event.detail.question) return;
    event.preventDefault();
    const dialog = $("confirm");
    $("confirm-question").textContent = event.detail.question;
    dialog.returnValue = "no";
    dialog.addEventListener("close", () => { if (dialog.returnValue === "yes") event.detail.issueRequest(true); }, { once: true });
    dialog.showModal();
  });
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-open-dialog]"), copy = event.target.closest("[data-copy]");
    if (opener) $(opener.dataset.openDialog).showModal();
    if (copy) navigator.clipboard?.writeText(copy.dataset.copy).then(() => { toast({ text: "Copied." }); announce("Copied."); });
    for (const menu of all(".menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });

  // A picture that no longer loads becomes words, or a neutral disc.
  document.addEventListener("error", (event) => {
    const image = event.target;
    if (!(image instanceof HTMLImageElement)) return;
    const gone = document.createElement(image.dataset.gone ? "p" : "span");
    gone.className = image.dataset.gone ? "placeholder" : image.className;
    gone.textContent = image.dataset.gone || "";
    (image.closest(".media") || image).replaceWith(gone);
  }, true);

  // The thread: opened on a phone it takes the whole pane; it stays at its end while the reader is there.
  let atEnd = true;
  const scroller = () => $("messages-scroll");
  const toEnd = () => { const box = scroller(); if (box) box.scrollTop = box.scrollHeight; };
  document.addEventListener("scroll", (event) => {
    if (event.target === scroller()) atEnd = event.target.scrollHeight - event.target.scrollTop - event.target.clientHeight < 48;
  }, true);
  const openThread = () => document.querySelector("#thread-pane .thread");
  document.addEventListener(on.settled, (event) => {
    if (event.target.id === "thread-pane") {
      $("inbox").dataset.open = openThread() ? "yes" : "no";
      atEnd = true;
      toEnd();
      const id = openThread()?.id.replace("thread-", "c");
      for (const link of rows()) link.toggleAttribute("aria-current", false);
      const link = id && document.querySelector(`#${id} .row-link`);
      if (link) { link.setAttribute("aria-current", "true"); link.removeAttribute("data-unread"); }
      if (byKeyboard) $("thread-name")?.focus();
    } else if (event.target.id?.startsWith("msgs-") && atEnd) toEnd();
    rove();
    tick();
  });

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
  const switches = all("[data-shortcuts]");
  const showSwitches = () => switches.forEach((each) => { each.checked = shortcutsOn(); });
  switches.forEach((each) => each.addEventListener("change", () => {
    localStorage.setItem(settingKey, each.checked ? "on" : "off");
    showSwitches();
  }));
  showSwitches();
  let going = 0;
  const press = (key) => document.querySelector(`[data-key="${key}"]`)?.click();
  const keys = {
    j: () => move(1), k: () => move(-1), "/": () => $("q")?.focus(), r: () => press("r"), u: () => press("u"),
    g: () => { going = Date.now(); }, "?": () => $("shortcuts")?.showModal(),
  };
  document.addEventListener("keydown", (event) => {
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
    if (!shortcutsOn()) return;
    const target = Date.now() - going < 1200 && document.querySelector(`[data-go="${key}"]`);
    if (target) { going = 0; target.click(); } else if (keys[key]) { event.preventDefault(); keys[key](); }
  });
  document.addEventListener("pointerdown", () => { byKeyboard = false; });

  rove();
  toEnd();
  tick();
  setInterval(tick, 30000);
})();
