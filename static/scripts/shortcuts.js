// Keyboard shortcuts, which a switch turns off. Those of the inbox are in keys.js.
const setting = "nametag:shortcuts";
const shortcutsOn = () => localStorage.getItem(setting) !== "off";
const showSwitches = () => { for (const each of all("[data-shortcuts]")) each.checked = shortcutsOn(); };
listen("change", ({ target }) => {
  if (!target.matches("[data-shortcuts]")) return;
  localStorage.setItem(setting, target.checked ? "on" : "off");
  showSwitches();
});
begin(showSwitches);

let entered = null; // Enter in the palette before its results came
// What the rows of the list of shortcuts do; true leaves the key to the browser too.
const actions = {
  press: ({ dataset }) => document.querySelector(`[data-key="${dataset.keys}"]`).click(),
  go: (row, key) => document.querySelector(`[data-go="${key}"]`).click(),
  palette: () => {
    const { dataset } = $("palette");
    $("palette").showModal();
    $("palette-q").value = "";
    htmx.trigger("#palette-q", "palette:open");
    if (!dataset.script) return;
    loadScript(dataset.script);
    delete dataset.script;
    $("palette-q").onkeydown = (event) => { if (event.key === "Enter") entered = event; };
  },
  help: () => $("shortcuts").showModal(),
  leave: () => {
    const menu = document.querySelector(".menu[open]");
    if (menu) {
      menu.open = false;
      menu.firstElementChild.focus();
    } else if (document.querySelector(":popover-open")) return true;
    else document.activeElement.closest("input, textarea, select")?.blur();
  },
};
clicked("[data-open-palette]", () => actions.palette());
const found = (keys) => all(`#shortcuts [data-keys~="${CSS.escape(keys)}"]`).find(({ dataset }) => document.querySelector(dataset.when));
const run = (row, key) => actions[row.dataset.does](row, key);

let first = "", firstAt = 0;
listen("keydown", (event) => {
  const { target, ctrlKey, metaKey, shiftKey, repeat, timeStamp } = event, field = target.closest("input, textarea, select");
  const key = event.key === " " ? "Space" : event.key.length > 1 ? event.key : event.key.toLowerCase();
  const single = key.length === 1 && !ctrlKey && !metaKey, letter = /[a-z]/.test(key) && single;
  if (event.altKey || (target.closest("dialog") && single)) return;
  const keys = `${ctrlKey || metaKey ? "ctrl+" : shiftKey && letter ? "shift+" : ""}${key}`;
  if (field && !ctrlKey && !metaKey && key !== "Escape") return;
  if (single && key !== "?" && !shortcutsOn()) return;
  const row = (first && timeStamp - firstAt < 1200 && found(`${first}+${key}`)) || found(keys);
  first = letter && !row && $("shortcuts").querySelector(`[data-keys^="${key}+"]`) ? key : "";
  firstAt = timeStamp;
  if (!row || target.closest("dialog") || (repeat && !("repeats" in row.dataset))) return;
  if (!run(row, key)) event.preventDefault();
});
