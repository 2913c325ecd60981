// A selection in a list: how many are selected, and the API calls they use. Shift selects a range.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const listen = (name, act) => document.addEventListener(name, act);
  let last = null;
  function show(form) {
    const bar = form.querySelector(".bulk"), boxes = all("[data-pick]", form), count = boxes.filter((box) => box.checked).length;
    if (!bar) return;
    const every = bar.querySelector("[data-pick-all]"), left = bar.dataset.callsLeft;
    every.checked = count === boxes.length;
    every.indeterminate = count > 0 && !every.checked;
    bar.querySelector("button").disabled = !count;
    bar.querySelector(".bulk-count").textContent = count
      ? `${count} selected${left ? `: ${count} API call${count === 1 ? "" : "s"} of ${left} left` : ""}` : "None selected";
  }
  listen("click", ({ target, shiftKey }) => {
    if (!target.matches("[data-pick], [data-pick-all]")) return;
    const form = target.closest("[data-picks]"), boxes = all("[data-pick]", form), at = boxes.indexOf(target);
    const [from, to] = at < 0 ? [0, boxes.length - 1]
      : [at, shiftKey && boxes.includes(last) ? boxes.indexOf(last) : at].sort((one, other) => one - other);
    for (const box of boxes.slice(from, to + 1)) box.checked = target.checked;
    last = target;
    show(form);
  });
  listen("htmx:afterRequest", ({ detail: { elt, successful } }) => {
    if (!successful || !elt.matches("[data-picks]")) return;
    for (const box of all("[data-pick]", elt)) box.checked = false;
    setTimeout(() => show(elt));
  });
  const begin = () => all("[data-picks]").forEach(show);
  listen("htmx:afterSettle", begin);
  listen("htmx:historyRestore", begin);
  begin();
})();
