// Polls pause on request and in a hidden tab; a banner shows that the server can't be reached.
Object.assign(Idiomorph.defaults.callbacks, {
  // A field keeps what is being typed. Not `ignoreActiveValue`: with it, a focused row would never change.
  beforeNodeMorphed: (node) => node !== document.activeElement || !node.matches("input, textarea, select"),
  beforeAttributeUpdated: (name, _, change) => name !== "open" || change !== "remove",
});

let paused = false, failures = 0, updatedAt = Date.now(), triedAt = updatedAt;
const poll = (element) => htmx.trigger(element, "poll:now");
const pollNow = () => all("[data-poll]").forEach(poll);
const showUpdated = () => {
  const pane = $("list-pane"), seconds = Math.floor((Date.now() - updatedAt) / 1000);
  if (!pane) return;
  const age = seconds < 5 || seconds > 59 ? ago(seconds) : `${seconds} s ago`;
  pane.dataset.live = paused ? "paused" : failures > 1 ? "stale" : "live";
  $("pause").setAttribute("aria-pressed", paused);
  setText("updated", paused ? "Paused" : `Updated ${age}`);
  $("stale").hidden = failures < 2;
  setText("stale-age", age);
  setText("stale-next", Math.max(0, Math.ceil($("stale").dataset.seconds - (Date.now() - triedAt) / 1000)));
};
const failed = (count) => {
  if (!$("list-pane")) return;
  if (failures < 2 && failures + count > 1) setText("alerter", "Can’t reach the server. Showing older messages.");
  failures += count;
  showUpdated();
};
const unreachable = () => toast({ text: navigator.onLine ? "Can’t reach the server. Nothing was changed. Try again."
  : "You’re offline. Nothing was changed. Check your connection and try again.", kind: "error" });
addEventListener("offline", () => failed(2));
addEventListener("online", pollNow);
listen("visibilitychange", () => { if (!document.hidden && !paused) pollNow(); });
listen("htmx:configRequest", ({ detail: { headers } }) => { headers["Nametag-Visible"] = !document.hidden; });
listen("htmx:beforeRequest", (event) => {
  const { elt, requestConfig } = event.detail, part = elt.dataset.poll;
  if (part && !requestConfig.triggeringEvent && (document.hidden || (paused && part !== "jobs"))) event.preventDefault();
  else if (part === "list") triedAt = Date.now();
});
listen("htmx:afterRequest", ({ detail: { elt, successful, requestConfig, xhr: { status } } }) => {
  if (!successful) return;
  const { poll: part } = elt.dataset;
  // What a timer found in one part is shown in the other one at once. Answers to that are final.
  if (status === 200 && part && !requestConfig.triggeringEvent) {
    if (part === "list") all("[data-poll=thread]").forEach(poll);
    if (part === "thread") poll($("conv-list"));
  }
  if (part === "list") {
    if (failures > 1) { setText("alerter", ""); announce("Connection restored"); }
    failures = 0;
    updatedAt = Date.now();
    showUpdated();
  } else if (failures > 1) poll($("conv-list"));
});
listen("htmx:responseError htmx:sendError htmx:timeout", ({ detail: { xhr: { status }, xhr, elt } }) => {
  failed(status >= 500 ? 1 : status ? 0 : 2);
  if (elt.dataset.poll) { if (elt.dataset.poll === "thread") poll($("conv-list")); return; }
  if ([401, 422].includes(status)) return;
  htmx.trigger(document.body, "inbox:refresh");
  if (!status) unreachable();
  else if (!xhr.getResponseHeader("HX-Trigger")?.includes("toast"))
    toast({ text: "Something went wrong. Nothing was changed. Try again.", kind: "error" });
});
clicked("#pause, #stale-retry", ({ id }) => {
  if (id === "pause") paused = !paused;
  if (!paused) pollNow();
  showUpdated();
});
listen("htmx:afterSettle", showUpdated);
begin(showUpdated);
setInterval(showUpdated, 1000);
// Desktop notifications are a script of their own, which only those load who use them, and the Settings page.
const noticesScript = $("toasts")?.dataset.notices;
if (noticesScript && (localStorage.getItem("nametag:notices") || $("notices"))) loadScript(noticesScript);
