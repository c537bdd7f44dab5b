// The keyboard: / searches, g and a letter go to a page, ? tells of it. A reader may switch all of it off, for good.
"use strict";

const PLACES = { o: "/ui", k: "/ui/keys", m: "/ui/my-keys", r: "/ui/requests", s: "/ui/spend", t: "/ui/teams", p: "/ui/people", b: "/ui/budgets", c: "/ui/connect" };
const SWITCH = "keyhouse-shortcuts";
let goesOn = false;

const areOn = () => localStorage.getItem(SWITCH) !== "off";
const linkOf = (path) => document.querySelector(`.sidebar nav a[href="${path}"]`);
const searchField = () => document.querySelector("main input[type=search]");

function tellShortcuts() {
  const dialog = document.createElement("dialog");
  dialog.className = "shortcuts";
  dialog.setAttribute("aria-labelledby", "shortcuts-title");
  const title = dialog.appendChild(document.createElement("h2"));
  title.id = "shortcuts-title";
  title.textContent = "Keyboard shortcuts";
  const rows = [[["/"], "Search"], [["?"], "This help"], [["Esc"], "Close what is open"]];
  for (const [letter, path] of Object.entries(PLACES)) {
    const link = linkOf(path);
    if (link) rows.push([["g", letter], link.textContent.trim()]);
  }
  const list = dialog.appendChild(document.createElement("dl"));
  for (const [keys, words] of rows) {
    const term = list.appendChild(document.createElement("dt"));
    for (const key of keys) { term.appendChild(document.createElement("kbd")).textContent = key; term.append(" "); }
    list.appendChild(document.createElement("dd")).textContent = words;
  }
  const label = dialog.appendChild(document.createElement("label"));
  const on = label.appendChild(document.createElement("input"));
  on.type = "checkbox";
  on.checked = areOn();
  on.addEventListener("change", () => localStorage.setItem(SWITCH, on.checked ? "on" : "off"));
  label.append("Shortcuts are on in this browser");
  const close = dialog.appendChild(document.createElement("form"));
  close.method = "dialog";
  const button = close.appendChild(document.createElement("button"));
  button.textContent = "Close";
  button.autofocus = true;
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  document.body.append(dialog);
  dialog.showModal();
}

document.addEventListener("click", (event) => { if (event.target.closest("[data-shortcuts]")) tellShortcuts(); });
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest?.("input, textarea, select, dialog, [contenteditable]");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !areOn()) return;
  const isSecond = goesOn;
  goesOn = false;
  if (isSecond && PLACES[event.key]) linkOf(PLACES[event.key])?.click();
  else if (event.key === "g") { goesOn = true; setTimeout(() => { goesOn = false; }, 1500); }
  else if (event.key === "?") tellShortcuts();
  else if (event.key === "/" && searchField()) { event.preventDefault(); searchField().select(); searchField().focus(); }
});
