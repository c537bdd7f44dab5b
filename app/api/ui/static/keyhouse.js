// What pages do beyond plain forms: times in the reader's zone, copying, choices that need no button. Everything else works without it.
"use strict";

const DATED = /^\d\d? \w{3} \d{4}/;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const dayOf = (at) => `${at.getDate()} ${MONTHS[at.getMonth()]} ${at.getFullYear()}`;
const clockOf = (at, hasSeconds) => [at.getHours(), at.getMinutes(), ...(hasSeconds ? [at.getSeconds()] : [])].map((part) => String(part).padStart(2, "0")).join(":");

// As the server writes them, so that nothing moves but the hour: and alike in charts, filters and alerts, which stay as they came.
function tellTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const at = new Date(element.dateTime);
    const exact = `${dayOf(at)}, ${clockOf(at, "seconds" in element.dataset)}`;
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    element.title = `${exact} (${zone})`;
    if (DATED.test(element.textContent)) {
      const isDay = !element.textContent.includes(":");
      element.dataset.exact = "";
      element.textContent = isDay ? dayOf(at) : exact;
    }
  }
}

// A double click sends a form once: the answer to the first may hold a secret that is shown to nobody again.
const AGAIN_AFTER_MS = 5000;
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented) return;
  if (event.timeStamp - (form.dataset.sentAt ?? -AGAIN_AFTER_MS) < AGAIN_AFTER_MS) event.preventDefault();
  else form.dataset.sentAt = event.timeStamp;
});
addEventListener("pageshow", () => { for (const form of document.forms) delete form.dataset.sentAt; });

// A refusal is told with the field that it is about, which has the focus.
function showWrongField() {
  const refusal = document.getElementById("refusal");
  const field = refusal?.dataset.field && document.querySelector(`main [name="${CSS.escape(refusal.dataset.field)}"]:not([type=hidden], [hidden])`);
  if (!field) return;
  for (let part = field.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
  field.setAttribute("aria-invalid", "true");
  field.setAttribute("aria-describedby", ["refusal", field.getAttribute("aria-describedby")].join(" ").trim());
  field.focus();
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

// Which zone the times of a page are in, at its end.
function nameZone() {
  const line = document.querySelector("[data-zone]");
  if (!line) return;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  line.hidden = !document.querySelector("main time[data-exact]");
  line.textContent = zone === "UTC" ? "Times are of UTC." : `Times are of your zone, ${zone}.`;
}

document.addEventListener("htmx:afterSwap", (event) => { tellTimes(event.detail.elt); nameZone(); });
tellTimes(document);
showWrongField();
nameZone();

// What a bar of a chart is made of, beside the pointer; without a script it is the title of the bar.
function showTip(bar, event) {
  const plot = bar.closest("[data-chart]");
  const title = bar.querySelector("title");
  if (title) { bar.dataset.tip = title.textContent; title.remove(); }
  hideTips();
  const tip = document.createElement("div");
  tip.className = "tip";
  for (const line of bar.dataset.tip.split("\n")) {
    const row = tip.appendChild(document.createElement("p"));
    const cut = line.lastIndexOf(": ");
    for (const words of cut > 0 ? [line.slice(0, cut), line.slice(cut + 2)] : [line]) {
      row.appendChild(document.createElement("span")).textContent = words;
    }
  }
  plot.append(tip);
  bar.classList.add("on");
  const place = plot.getBoundingClientRect();
  const at = event.clientX - place.left;
  const left = at + tip.offsetWidth + 18 > place.width ? at - tip.offsetWidth - 14 : at + 14;
  tip.style.left = `${Math.max(0, left)}px`;
}

function hideTips() {
  for (const tip of document.querySelectorAll(".tip")) tip.remove();
  for (const bar of document.querySelectorAll(".bar.on")) bar.classList.remove("on");
}

document.addEventListener("pointermove", (event) => {
  const bar = event.target.closest?.("[data-chart] .bar");
  if (bar) showTip(bar, event); else hideTips();
});

// The reader's own time zone is offered, and all that the browser knows; one menu is open at a time.
function offerZones(root) {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  for (const field of root.querySelectorAll("[data-zones]")) {
    field.list.replaceChildren(...["UTC", ...Intl.supportedValuesOf("timeZone")].map((zone) => new Option("", zone)));
  }
  for (const link of root.querySelectorAll("[data-own-zone]")) {
    const address = new URL(link.href);
    if (!own || (address.searchParams.get("zone") ?? "UTC") === own) continue;
    address.searchParams.set("zone", own);
    link.href = address;
    link.textContent = `In my zone, ${own}`;
    link.hidden = false;
  }
}

document.addEventListener("click", async (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
  const button = event.target.closest("[data-copy-address]");
  if (!button) return;
  const label = button.querySelector("[data-label]");
  const before = label.textContent;
  await navigator.clipboard.writeText(location.href).then(() => { label.textContent = "Copied"; }, () => { label.textContent = "Copy it from above"; });
  setTimeout(() => { label.textContent = before; }, 2000);
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const sidebar = document.getElementById("menu-open");
  if (sidebar?.checked) { sidebar.checked = false; sidebar.focus(); }
  for (const menu of document.querySelectorAll("details.menu[open]")) { menu.open = false; menu.querySelector("summary").focus(); }
});
document.addEventListener("htmx:afterSwap", () => offerZones(document));
offerZones(document);

document.addEventListener("click", (event) => { if (event.target.closest("[data-print]")) print(); });

// A long sidebar on a low screen: the page that one is on is in sight.
document.querySelector(".sidebar nav [aria-current]")?.scrollIntoView({ block: "nearest" });
