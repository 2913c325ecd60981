// Who reads: leaving a conversation ends the presence there, and all shown rows can be marked as read, with an undo.
addEventListener("pagehide", () => {
  const thread = openThread(), form = $("read-shown");
  if (thread) navigator.sendBeacon(`/inbox/${thread.dataset.id}/leave`, new FormData(form));
});
listen("htmx:beforeRequest", (event) => {
  if (event.detail.elt.id !== "read-shown" || new FormData(event.detail.elt).has("shown")) return;
  event.preventDefault();
  report({ text: "No unread conversation is shown." });
});
listen("htmx:afterRequest", ({ detail: { elt, successful, requestConfig } }) => {
  if (elt.id !== "read-shown" || !successful) return;
  const shown = requestConfig.formData.getAll("shown");
  report({
    text: `Marked ${plural(shown.length, "conversation")} as read.`, kind: "done",
    undo: () => htmx.ajax("POST", "/inbox/unread", { values: { shown }, swap: "none" }),
  });
});
