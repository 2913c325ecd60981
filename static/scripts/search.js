// Completion of search operators: of the last word alone, and only while it begins one.
const completeOperator = () => {
  const field = $("q"), [last] = /[^ ]*$/.exec(field.value), before = field.value.slice(0, -last.length || undefined);
  let offered = false;
  for (const option of all("option", $("search-operators"))) {
    const operator = (option.dataset.operator ||= option.value);
    option.value = before + operator;
    offered ||= last && operator !== last && operator.startsWith(last);
  }
  if (offered) field.setAttribute("list", "search-operators");
  else field.removeAttribute("list");
};
listen("input", ({ target }) => { if (target.id === "q") completeOperator(); });
begin(completeOperator);
// From the field to its results.
listen("keydown", (event) => {
  const { target, key } = event;
  if (target.id !== "q" || key !== "ArrowDown" || target.list || !rows()[0]) return;
  event.preventDefault();
  focusRow(rows()[0]);
});
