// What the other scripts share: events, elements, and words for a count.
const listen = (names, act, capture) => { for (const name of names.split(" ")) document.addEventListener(name, act, capture); };
const clicked = (selector, act) => listen("click", ({ target }) => { const found = target.closest(selector); if (found) act(found); });
const begin = (act) => { act(); listen("htmx:historyRestore", act); };
const $ = (id) => document.getElementById(id);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const setText = (id, text) => { $(id).textContent = text; };
const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
