// A selection in a list: how many rows are selected and the API calls they use; Shift selects a range.
let lastPicked = null;
const picks = (form) => all("[data-pick]", form);
const showPicks = (form) => {
  const bar = form.querySelector(".bulk"), boxes = picks(form), count = boxes.filter((box) => box.checked).length;
  if (!bar) return;
  const every = bar.querySelector("[data-pick-all]"), left = bar.dataset.callsLeft;
  every.checked = count === boxes.length;
  every.indeterminate = count > 0 && !every.checked;
  bar.querySelector("button").disabled = !count;
  bar.querySelector(".bulk-count").textContent = count
    ? `${count} selected${left ? `: ${plural(count, "API call")} of ${left} left` : ""}` : "None selected";
};
const showAllPicks = () => all("[data-picks]").forEach(showPicks);
listen("click", ({ target, shiftKey }) => {
  if (!target.matches("[data-pick], [data-pick-all]")) return;
  const form = target.closest("[data-picks]"), boxes = picks(form), at = boxes.indexOf(target);
  const [from, to] = at < 0 ? [0, boxes.length - 1]
    : [at, shiftKey && boxes.includes(lastPicked) ? boxes.indexOf(lastPicked) : at].sort((one, other) => one - other);
  for (const box of boxes.slice(from, to + 1)) box.checked = target.checked;
  lastPicked = target;
  showPicks(form);
});
listen("htmx:afterSettle", showAllPicks);
begin(showAllPicks);
