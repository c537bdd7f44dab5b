// What was typed into a form that was sent too late, after the session had ended: kept in this tab meanwhile, and put back. No secrets.
"use strict";

const UNSENT = "keyhouse-unsent";
const here = () => location.pathname + location.search;
const whoIsHere = () => document.querySelector(".who .cut")?.title ?? "";
const isTyped = (field) => field.name && !field.matches("[type=hidden], [type=password], [data-secret], button, fieldset");

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented || !form.closest("main#content")) return;
  const typed = [...form.elements].filter(isTyped).map((field) => [field.name, field.value, field.checked ?? null]);
  const kept = { who: whoIsHere(), at: here(), to: form.getAttribute("action"), typed };
  sessionStorage.setItem(UNSENT, JSON.stringify(kept));
});

function putBack({ to, typed }) {
  const form = document.querySelector(`main form[method=post][action="${CSS.escape(to)}"]`);
  if (!form || !typed.length) return;
  for (const field of [...form.elements].filter(isTyped)) {
    const isTicked = field.type === "checkbox" || field.type === "radio";
    const found = typed.find(([name, value]) => name === field.name && (!isTicked || value === field.value));
    if (!found) continue;
    if (isTicked) field.checked = found[2]; else field.value = found[1];
    if (found[1]) for (let part = field.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
  }
  const notice = document.createElement("p");
  notice.className = "notice warn";
  notice.setAttribute("role", "status");
  notice.textContent = "This was not sent before: the session had ended. What you typed is here again, without secrets. Look it over, and send it once more.";
  form.before(notice);
}

// The sign-in page and what says that a form is too old keep it; any other page ends it.
const unsent = JSON.parse(sessionStorage.getItem(UNSENT) ?? "null");
if (unsent && document.querySelector("[data-unsent]")) {
  sessionStorage.setItem(UNSENT, JSON.stringify({ ...unsent, isLate: true }));
} else if (unsent && document.getElementById("content")) {
  sessionStorage.removeItem(UNSENT);
  if (unsent.isLate && unsent.at === here() && unsent.who === whoIsHere()) putBack(unsent);
}
