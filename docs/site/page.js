// SPDX-License-Identifier: MIT

// What a page of the site does: its search box, and scrolling by the keyboard.
"use strict";

const most_found = 20;
const form = document.getElementById("search");
const [field, found] = form.children;
const [count, list] = found.children;

/// The entries whose name and place contain all words of the query: those that have this name first, then those whose
/// name begins with the first word. `search_index` is in search_index.js, which site.py makes.
function search(query) {
  const words = query.toLowerCase().split(/[\s:]+/).filter(word => word);
  if (words.length === 0) {
    return [];
  }
  const rank = name => (name === words.join(" ") ? 0 : name.startsWith(words[0]) ? 1 : 2);
  return search_index
    .map(([name, place, page]) => ({name, place, page, lower: name.toLowerCase()}))
    .filter(entry => words.every(word => `${entry.lower} ${entry.place.toLowerCase()}`.includes(word)))
    .sort((a, b) => rank(a.lower) - rank(b.lower));
}

function show_found() {
  const entries = search(field.value);
  found.hidden = field.value.trim() === "";
  count.textContent = entries.length === 0 ? "Nothing found" : `${Math.min(entries.length, most_found)} of ${entries.length}`;
  list.replaceChildren(...entries.slice(0, most_found).map(({name, place, page}) => {
    const item = document.createElement("li");
    const link = item.appendChild(document.createElement("a"));
    link.href = page;
    link.append(name, " ", Object.assign(document.createElement("small"), {textContent: place}));
    return item;
  }));
}

function close_search() {
  field.value = "";
  show_found();
}

form.hidden = false;
field.addEventListener("input", show_found);
list.addEventListener("click", close_search); // the link may lead to another place of this page
form.addEventListener("submit", event => {
  event.preventDefault();
  list.querySelector("a")?.click();
});
form.addEventListener("keydown", event => {
  if (event.key === "Escape") {
    close_search();
    field.focus();
  }
});

// What is wider than its place can be scrolled by the keyboard, once it has the focus.
const scrolled = new ResizeObserver(blocks => {
  for (const {target} of blocks) {
    if (target.scrollWidth > target.clientWidth) {
      target.setAttribute("tabindex", "0");
    } else {
      target.removeAttribute("tabindex");
    }
  }
});
document.querySelectorAll(".fragment, .memproto, .contents table").forEach(block => scrolled.observe(block));
