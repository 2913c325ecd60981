// What the other scripts share: events, elements, and words for a count.
const listen = (names, act, capture) => { for (const name of names.split(" ")) document.addEventListener(name, act, capture); };
const clicked = (selector, act) => listen("click", (event) => { const found = event.target.closest(selector); if (found) act(found, event); });
const begin = (act) => { act(); listen("htmx:historyRestore", act); };
const $ = (id) => document.getElementById(id);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const loadScript = (src) => document.head.append(Object.assign(document.createElement("script"), { src }));
const setText = (id, text) => { $(id).textContent = text; };
const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
