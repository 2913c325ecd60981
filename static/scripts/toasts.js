// Toasts and announcements.
const announce = (text) => setText("announcer", text);
const toast = ({ text, kind = "info", undo }) => {
  const box = $("toast-form").content.firstElementChild.cloneNode(true), { children } = $("toasts");
  box.dataset.kind = kind;
  box.querySelector("p").textContent = text;
  box.querySelector(".button").hidden = !undo;
  box.querySelector(".button").onclick = undo;
  for (const other of children) if (other.textContent === box.textContent) other.remove();
  $("toasts").append(box);
  if (children.length > 3) children[0].remove();
  if (kind === "error") return;
  setTimeout(function leave() { box.matches(":hover, :focus-within") ? setTimeout(leave, 1000) : box.remove(); }, undo ? 10000 : 8000);
};
const report = (event) => { toast(event); announce(event.text); };
clicked(".toast button", (button) => button.parentElement.remove());
listen("toast", ({ detail }) => report(detail));
listen("announce", ({ detail }) => announce(detail.text));
