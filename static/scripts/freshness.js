// How old the inbox is: its age, the button that pauses updates, and a banner while the server can't be reached.
let failures = 0, updatedAt = Date.now(), triedAt = updatedAt;
const showUpdated = () => {
  const seconds = Math.floor((Date.now() - updatedAt) / 1000), age = seconds < 5 || seconds > 59 ? ago(seconds) : `${seconds} s ago`;
  $("list-pane").dataset.live = paused ? "paused" : failures > 1 ? "stale" : "live";
  $("pause").setAttribute("aria-pressed", paused);
  setText("updated", paused ? "Paused" : `Updated ${age}`);
  $("stale").hidden = failures < 2;
  setText("stale-age", age);
  setText("stale-next", Math.max(0, Math.ceil($("stale").dataset.seconds - (Date.now() - triedAt) / 1000)));
};
const failed = (count) => {
  if (failures < 2 && failures + count > 1) setText("alerter", "Can’t reach the server. Showing older messages.");
  failures += count;
  showUpdated();
};
addEventListener("offline", () => failed(2));
listen("htmx:beforeRequest", (event) => { if (event.detail.elt.dataset.poll === "list" && !event.defaultPrevented) triedAt = Date.now(); });
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
listen(FAILED, ({ detail: { xhr: { status }, elt } }) => {
  failed(status >= 500 ? 1 : status ? 0 : 2);
  if (elt.dataset.poll === "thread") poll($("conv-list"));
});
clicked("#pause, #stale-retry", ({ id }) => {
  if (id === "pause") paused = !paused;
  if (!paused) pollNow();
  showUpdated();
});
listen("htmx:afterSettle", showUpdated);
begin(showUpdated);
setInterval(showUpdated, 1000);
