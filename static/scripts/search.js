// Completion of search operators: of the last word alone, and only while it begins one.
const completeOperator = (field) => {
  const [, before, last] = /^(.*?)([^ ]*)$/s.exec(field.value), sign = last.startsWith("-") ? "-" : "", options = all("option", $("search-operators"));
  let offered = false;
  for (const option of options) {
    const operator = (option.dataset.operator ||= option.value);
    option.value = before + sign + operator;
    offered ||= last.length > sign.length && operator.startsWith(last.slice(sign.length)) && operator !== last.slice(sign.length);
  }
  if (offered) field.setAttribute("list", "search-operators"); else field.removeAttribute("list");
};
listen("input", ({ target }) => { if (target.id === "q") completeOperator(target); });
begin(() => { if ($("q")) completeOperator($("q")); });
