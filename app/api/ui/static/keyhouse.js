// What pages do beyond plain forms: times in the reader's zone, copying, choices that need no button. Everything else works without it.
"use strict";

const DATED = /^\d\d \w{3} \d{4}/;

function tellTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const at = new Date(element.dateTime);
    const exact = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    element.title = `${exact} (${zone})`;
    if (DATED.test(element.textContent)) {
      const isDay = !element.textContent.includes(":");
      element.textContent = isDay ? at.toLocaleDateString(undefined, { dateStyle: "medium" }) : exact;
    }
  }
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  const label = button.querySelector("[data-label]") ?? button;
  const before = label.textContent;
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
    label.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(source);
    label.textContent = "Press Ctrl C";
  }
  setTimeout(() => { label.textContent = before; }, 2000);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
});
document.addEventListener("change", (event) => {
  event.target.closest("[data-submit-on-change]")?.requestSubmit();
});
document.addEventListener("htmx:afterSwap", (event) => tellTimes(event.detail.elt));
tellTimes(document);
