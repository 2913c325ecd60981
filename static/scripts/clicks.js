// What clicks do: dialogs that confirm or open, menus, copy buttons, links in new tabs.
let asked = null;
listen("htmx:confirm", (event) => {
  const dialog = $("confirm"), { elt, question, path, verb, issueRequest } = event.detail;
  if (!question) return;
  event.preventDefault();
  asked = elt;
  setText("confirm-question", question);
  setText("confirm-no", elt.dataset.no || "Go back");
  setText("confirm-yes", elt.dataset.yes || "Continue");
  dialog.returnValue = "no";
  dialog.addEventListener("close", () => {
    asked = null;
    if (dialog.returnValue !== "yes") return;
    if (elt.isConnected) issueRequest(true);
    else htmx.ajax(verb, path, { target: elt.getAttribute("hx-target"), swap: elt.getAttribute("hx-swap") });
  }, { once: true });
  dialog.showModal();
});
// A poll may replace the form that asks, or remove it: then what it asks about has ended.
listen("htmx:afterSettle", () => {
  if (!asked?.id || $(asked.id)) return;
  report({ text: asked.dataset.ended });
  $("confirm").close("no");
});
clicked("[data-open-dialog]", ({ dataset }) => $(dataset.openDialog).showModal());
clicked("[data-copy]", ({ dataset }) => navigator.clipboard?.writeText(dataset.copy).then(() => report({ text: dataset.copied })));
listen("click", ({ target }) => { for (const menu of all(".menu[open]")) menu.open = menu.contains(target); });
// htmx would open these links in place.
listen("click", (event) => {
  if ((event.ctrlKey || event.metaKey || event.shiftKey) && event.target.closest("a[hx-get]")) event.stopPropagation();
}, true);
