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
let going = 0;
const press = (key) => document.querySelector(`[data-key="${key}"]`)?.click();
const inbox = $("inbox");
const keys = {
  j: () => inbox && move(1), k: () => inbox && move(-1), "/": () => $("q")?.focus(), r: () => press("r"),
  u: () => {
    const link = document.activeElement.closest(".row-link");
    if (link) htmx.ajax("POST", `${link.pathname}/${link.dataset.unread ? "read" : "unread"}`, { swap: "none" });
    else press("u");
  },
  g: () => { going = Date.now(); }, "?": () => $("shortcuts")?.showModal(),
};
const leave = (event, field) => {
  const menu = document.querySelector(".menu[open]");
  if (menu) {
    menu.open = false;
    menu.firstElementChild.focus();
  } else if (document.querySelector(":popover-open")) return;
  else if (field?.id === "q" && field.value) {
    event.preventDefault();
    field.value = "";
    field.form.requestSubmit();
  } else if (field) field.blur();
  else document.querySelector('.row-link[tabindex="0"]')?.focus();
};
listen("keydown", (event) => {
  const { target } = event, field = target.closest("input, textarea, select"), key = event.key.toLowerCase();
  if (event.ctrlKey || event.altKey || event.metaKey || target.closest("dialog")) return;
  if (event.key === "Escape") return leave(event, field);
  if (field) {
    if (field.id === "q" && event.key === "ArrowDown") { event.preventDefault(); focusRow(rows()[0]); }
    return;
  }
  if (inbox && openThread() && /^( |Page|Home|End|Arrow)/.test(event.key) && !target.closest("a, button, summary, .scroll")) scroller().focus();
  if (target.closest("#conv-list")) {
    const step = { ArrowDown: 1, ArrowUp: -1, Home: -1e9, End: 1e9 }[event.key];
    if (step) { event.preventDefault(); move(step); return; }
    if (event.key === "Enter") { byKeyboard = true; return; }
  }
  if (!shortcutsOn() || (event.repeat && key !== "j" && key !== "k")) return;
  const link = Date.now() - going < 1200 && document.querySelector(`[data-go="${key}"]`);
  if (link) { going = 0; link.click(); } else if (keys[key]) { event.preventDefault(); keys[key](); }
});
