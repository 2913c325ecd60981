// What keys do in the inbox.
const tabStop = () => document.querySelector('.row-link[tabindex="0"]');
const focusedRow = () => document.activeElement.closest(".row-link");
const { leave } = actions;
Object.assign(actions, {
  next: () => move(1), previous: () => move(-1),
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
  leave: () => {
    const field = document.activeElement.closest("input, textarea, select"), q = $("q");
    if (document.querySelector(".menu[open], :popover-open")) return leave();
    if (q.value && (!field || field === q)) {
      q.value = "";
      q.form.requestSubmit();
    } else if (!field && openThread()) closeThread();
    else {
      leave();
      if (!field || field === q) tabStop()?.focus();
    }
  },
});
