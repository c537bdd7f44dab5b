// What is read anew by itself: the log while it is live, and what htmx asks for. Where no answer comes the page says so, and goes on trying.
"use strict";

const EVERY_MS = 3000;
const PATIENCE_MS = 10_000;
const connection = document.getElementById("connection");
const clock = () => new Date().toTimeString().slice(0, 8);
let heardAt = clock();

function tellConnection(words) {
  if (connection.dataset.words === words) return;
  connection.dataset.words = words;
  connection.textContent = words && `${words} What you see is of ${heardAt}.`;
  connection.hidden = !words;
}

function tellHeard() {
  heardAt = clock();
  if (connection.dataset.words) tellConnection("");
}

const troubleOf = (status) => (status ? `The gateway answers ${status}` : "Connection lost");

// What is new comes in at the top and old lines leave at the bottom; what is there stays in its place.
function mergeLines(shown, fresh) {
  const before = shown.querySelector("tbody");
  const after = fresh.querySelector("tbody");
  if (!before || !after) { if (shown.innerHTML !== fresh.innerHTML) shown.replaceChildren(...fresh.childNodes); return; }
  const known = new Map([...before.rows].map((row) => [row.dataset.id, row]));
  const rows = [...after.rows].map((row) => {
    const old = known.get(row.dataset.id);
    if (!old) { row.classList.add("fresh"); return row; }
    old.querySelector("time").textContent = row.querySelector("time").textContent;
    known.delete(row.dataset.id);
    return old;
  });
  for (const gone of known.values()) gone.remove();
  rows.forEach((row, place) => { if (before.rows[place] !== row) before.insertBefore(row, before.rows[place] ?? null); });
}

// One question at a time: an answer that comes late is never shown over a later one.
async function readLog(shown) {
  let status = 0;
  try {
    const answer = await fetch(shown.dataset.live, { signal: AbortSignal.timeout(PATIENCE_MS), headers: { "hx-request": "true" } });
    status = answer.status;
    const signIn = answer.headers.get("hx-redirect");
    if (signIn) { location.assign(signIn); return; }
    const fresh = answer.ok && new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("results");
    if (!fresh) throw new Error("no log");
    if (!shown.isConnected) return;
    mergeLines(shown, fresh);
    tellTimes(shown);
    tellHeard();
  } catch {
    if (shown.isConnected) tellConnection(`${troubleOf(status >= 400 ? status : 0)}. Trying again…`);
  }
}

async function keepLive() {
  const shown = document.querySelector("[data-live]");
  if (shown && !document.hidden) await readLog(shown);
  setTimeout(keepLive, EVERY_MS);
}
setTimeout(keepLive, EVERY_MS);

const repeats = (element) => element.getAttribute("hx-trigger")?.includes("every");
function tellFailed(event) {
  const next = repeats(event.detail.elt) ? "Trying again…" : "Try once more.";
  tellConnection(`${troubleOf(event.detail.xhr.status)}. ${next}`);
}
document.addEventListener("htmx:sendError", tellFailed);
document.addEventListener("htmx:timeout", tellFailed);
document.addEventListener("htmx:responseError", tellFailed);
document.addEventListener("htmx:afterOnLoad", (event) => { if (event.detail.xhr.status < 400) tellHeard(); });
