// Keyboard shortcuts, which a switch turns off.
const setting = "nametag:shortcuts";
const shortcutsOn = () => localStorage.getItem(setting) !== "off";
const showSwitches = () => { for (const each of all("[data-shortcuts]")) each.checked = shortcutsOn(); };
listen("change", ({ target }) => {
  if (!target.matches("[data-shortcuts]")) return;
  localStorage.setItem(setting, target.checked ? "on" : "off");
  showSwitches();
});
begin(showSwitches);

const inbox = $("inbox");
const press = (key) => document.querySelector(`[data-key="${key}"]`).click();
const tabStop = () => document.querySelector('.row-link[tabindex="0"]');
const focusedRow = () => document.activeElement.closest(".row-link");
const mark = (path, as) => htmx.ajax("POST", `${path}/${as}`, { swap: "none" });
// What the rows of the list of shortcuts do; true leaves the key to the browser too.
const actions = {
  next: () => move(1), previous: () => move(-1), press: ({ dataset }) => press(dataset.keys),
  rows: (row, key) => move({ ArrowDown: 1, ArrowUp: -1, Home: -1e9, End: 1e9 }[key]),
  open: () => { byKeyboard = true; return true; },
  done: () => {
    const thread = openThread();
    byKeyboard = true;
    if (!thread) return (focusedRow() || rows()[0])?.click();
    if (thread.querySelector("[data-next=read]")) markRead(thread.dataset);
    openNext(1, () => report({ text: "All caught up." }));
  },
  mark: () => {
    const link = focusedRow();
    if (link) mark(link.pathname, link.dataset.unread ? "read" : "unread"); else document.querySelector("[data-key=u]")?.click();
  },
  unread: () => {
    const path = focusedRow()?.pathname || (openThread() && `/inbox/${openThread().dataset.id}`);
    if (path) mark(path, "unread");
  },
  search: () => $("q").select(),
  scroll: () => { if (!document.activeElement.closest("a, button, summary, .scroll")) scroller().focus(); return true; },
  go: (row, key) => document.querySelector(`[data-go="${key}"]`).click(),
  palette: () => {
    const { dataset } = $("palette");
    $("palette").showModal();
    $("palette-q").value = "";
    htmx.trigger("#palette-q", "palette:open");
    if (dataset.script) loadScript(dataset.script);
    delete dataset.script;
  },
  help: () => $("shortcuts").showModal(),
  leave: () => {
    const menu = document.querySelector(".menu[open]"), field = document.activeElement.closest("input, textarea, select"), q = $("q");
    if (menu) {
      menu.open = false;
      menu.firstElementChild.focus();
    } else if (document.querySelector(":popover-open")) return true;
    else if (q?.value && (!field || field === q)) {
      q.value = "";
      q.form.requestSubmit();
    } else if (field) {
      field.blur();
      if (field === q) tabStop()?.focus();
    }
    else if (inbox && openThread()) closeThread();
    else tabStop()?.focus();
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
  if (field && !ctrlKey && !metaKey && key !== "Escape") {
    if (field.id === "q" && key === "ArrowDown" && !field.list && rows()[0]) { event.preventDefault(); focusRow(rows()[0]); }
    return;
  }
  if (single && key !== "?" && !shortcutsOn()) return;
  const row = (first && timeStamp - firstAt < 1200 && found(`${first}+${key}`)) || found(keys);
  first = letter && !row && $("shortcuts").querySelector(`[data-keys^="${key}+"]`) ? key : "";
  firstAt = timeStamp;
  if (!row || target.closest("dialog") || (repeat && !("repeats" in row.dataset))) return;
  if (!run(row, key)) event.preventDefault();
});
