// A toolbar is one tab stop: arrow keys, Home and End move in it. Without scripts each of its controls is a stop.
const controls = (bar) => all("a, button, summary", bar).filter((each) => each.checkVisibility() && !each.closest(".menu-choices"));
const keepOneStop = (bar) => {
  const shown = controls(bar), stop = shown.find((each) => each === document.activeElement)
    || shown.find((each) => each.getAttribute("tabindex") === "0") || shown.find((each) => each.ariaCurrent) || shown[0];
  for (const each of shown) each.tabIndex = each === stop ? 0 : -1;
};
const keepStops = () => all("[role=toolbar]").forEach(keepOneStop);
listen("focusin", ({ target }) => { const bar = target.closest("[role=toolbar]"); if (bar) keepOneStop(bar); });
listen("keydown", (event) => {
  const { target, key, altKey, ctrlKey, metaKey } = event, bar = target.closest("[role=toolbar]");
  const shown = bar ? controls(bar) : [], at = shown.indexOf(target);
  const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[key];
  if (at < 0 || next === undefined || altKey || ctrlKey || metaKey) return;
  event.preventDefault();
  shown.at(next % shown.length).focus();
});
addEventListener("resize", keepStops);
listen("htmx:afterSettle", keepStops);
begin(keepStops);
