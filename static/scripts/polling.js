// Polls pause in a hidden tab, and on request; a request that failed is reported.
Object.assign(Idiomorph.defaults.callbacks, {
  // A field keeps what is being typed. Not `ignoreActiveValue`: with it, a focused row would never change.
  beforeNodeMorphed: (node) => node !== document.activeElement || !node.matches("input, textarea, select"),
  beforeAttributeUpdated: (name, _, change) => name !== "open" || change !== "remove",
});

let paused = false; // a button of the inbox
const poll = (element) => htmx.trigger(element, "poll:now");
const pollNow = () => all("[data-poll]").forEach(poll);
addEventListener("online", pollNow);
listen("visibilitychange", () => { if (!document.hidden && !paused) pollNow(); });
listen("htmx:configRequest", ({ detail: { headers } }) => { headers["Nametag-Visible"] = !document.hidden; });
listen("htmx:beforeRequest", (event) => {
  const { elt, requestConfig } = event.detail;
  if (elt.dataset.poll && !requestConfig.triggeringEvent && (document.hidden || paused)) event.preventDefault();
});
const FAILED = "htmx:responseError htmx:sendError htmx:timeout";
listen(FAILED, ({ detail: { xhr: { status }, xhr, elt } }) => {
  if (elt.dataset.poll || [401, 422].includes(status)) return;
  htmx.trigger(document.body, "inbox:refresh");
  const what = status ? "Something went wrong." : navigator.onLine ? "Can’t reach the server." : "You’re offline.";
  if (!xhr.getResponseHeader("HX-Trigger")?.includes("toast")) toast({ text: `${what} Nothing was changed. Try again.`, kind: "error" });
});
// Desktop notifications: only their users and the Settings page load the script.
const noticesScript = $("toasts")?.dataset.notices;
if (noticesScript && (localStorage.getItem("nametag:notices") || $("notices"))) loadScript(noticesScript);
