// A reload returns to the place in the list: rows load up to it, and on a phone the list may appear only later.
const PLACE = "nametag:place";
let listTop = 0, goal = null;
const returnToPlace = () => {
  const box = $("conv-scroll"), more = $("more");
  if (!goal) return;
  if (more && rows().length < goal.rows) htmx.trigger(more, "more:now");
  else if (box.clientHeight) {
    box.scrollTop = goal.top;
    goal = null;
  }
};
listen("scroll", ({ target }) => { if (target === $("conv-scroll")) listTop = target.scrollTop; }, true);
addEventListener("pagehide", () => {
  const left = goal || { list: listQuery(), rows: rows().length, top: listTop };
  sessionStorage.setItem(PLACE, JSON.stringify(left));
});
listen("htmx:afterSettle", returnToPlace);
// htmx has bound the list by then.
listen("DOMContentLoaded", () => {
  const left = JSON.parse(sessionStorage.getItem(PLACE)), type = performance.getEntriesByType("navigation")[0]?.type;
  if (!["reload", "back_forward"].includes(type) || left?.list !== listQuery()) return;
  goal = left;
  returnToPlace();
});
