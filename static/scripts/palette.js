// The palette: options are chosen with arrow keys while its search keeps the focus.
const palette = $("palette");
const shownOptions = () => all("[role=option]", palette).filter((option) => !option.hidden);
let late = true; // results of what is typed are still to come
const selected = () => palette.querySelector("[aria-selected=true]");
const choose = (option) => {
  for (const each of all("[role=option]", palette)) each.setAttribute("aria-selected", each === option);
  $("palette-q").setAttribute("aria-activedescendant", option?.id || "");
  option?.scrollIntoView({ block: "nearest" });
};
const fit = () => {
  const none = palette.querySelector(".palette-none");
  if (!none) return;
  for (const option of all("[data-when]", palette)) option.hidden = !document.querySelector(option.dataset.when);
  for (const group of all(".palette-group", palette)) group.hidden = !shownOptions().some((option) => group.contains(option));
  none.hidden = shownOptions().length > 0;
  choose(shownOptions()[0]);
  late = palette.querySelector(".palette-none").dataset.q !== $("palette-q").value.trim();
  if (!late && entered) enter(entered);
};
const enter = (event) => {
  entered = late ? event : null;
  if (!late) selected()?.dispatchEvent(new MouseEvent("click", event));
};
palette.addEventListener("input", () => { late = true; });
palette.addEventListener("close", () => { entered = null; });
palette.addEventListener("keydown", (event) => {
  const shown = shownOptions(), at = shown.indexOf(selected()), last = shown.length - 1;
  const next = { ArrowDown: at < last ? at + 1 : 0, ArrowUp: at > 0 ? at - 1 : last, PageUp: 0, PageDown: last }[event.key];
  if (next !== undefined) choose(shown[next]);
  else if (event.key === "Enter" && event.target.id === "palette-q") enter(event);
  else return;
  event.preventDefault();
});
palette.addEventListener("click", ({ target }) => {
  const option = target.closest("[data-does]");
  if (target === palette || option) palette.close();
  if (option) run(option, option.dataset.keys.at(-1));
});
palette.addEventListener("htmx:afterSettle", fit);
$("palette-q").onkeydown = null;
if (!palette.open) entered = null;
fit();
