// The playground: sends a turn, shows the answer as it comes, always as text, and asks what it cost.
"use strict";

const form = document.getElementById("playground");
const turns = document.getElementById("turns");
const trouble = document.getElementById("trouble");
const box = document.getElementById("text");
const [sendButton, stopButton] = [document.getElementById("send"), document.getElementById("stop")];
let running = null;

function showTurn(role, name) {
  document.getElementById("none-yet")?.remove();
  const [article, head, said] = ["article", "h2", "p"].map((tag) => document.createElement(tag));
  article.className = `turn ${role}`;
  head.textContent = name;
  article.append(head, said);
  turns.append(article);
  return { article, said };
}

function keepTurn(role, text) {
  for (const [name, value] of [["turn_role", role], ["turn_text", text]]) {
    const field = document.createElement("input");
    Object.assign(field, { type: "hidden", name, value });
    turns.append(field);
  }
}

function tell(words) {
  const notice = document.createElement("p");
  notice.className = "notice bad";
  notice.setAttribute("role", "alert");
  notice.textContent = words;
  trouble.replaceChildren(notice);
}

function askBill(requestId) {
  const bill = document.createElement("div");
  bill.setAttribute("hx-get", `${form.dataset.receipt}?id=${encodeURIComponent(requestId)}`);
  bill.setAttribute("hx-trigger", "every 400ms");
  turns.append(bill);
  htmx.process(bill);
  setTimeout(() => {
    if (bill.textContent.trim()) return;
    const late = document.createElement("p");
    late.className = "help";
    late.textContent = "What this cost is not booked yet. It will stand in the log of requests.";
    bill.replaceWith(late);
  }, 30_000);
}

// Yields the events of an answer; a whole one is given as one of them.
async function* eventsOf(response) {
  if (!response.headers.get("content-type").startsWith("text/event-stream")) {
    const answer = await response.json();
    yield { type: "content_block_delta", delta: { text: answer.content.map((block) => block.text ?? "").join("") } };
    yield { type: "message_delta", delta: { stop_reason: answer.stop_reason } };
    return;
  }
  const [reader, decoder] = [response.body.getReader(), new TextDecoder()];
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (buffer + decoder.decode(value, { stream: true })).split(/\r?\n/);
    buffer = lines.pop();
    for (const line of lines) {
      if (line.startsWith("data:")) yield JSON.parse(line.slice(5));
    }
  }
}

async function refusalOf(response) {
  const said = await response.json().catch(() => ({}));
  if (said.sign_in) location.assign(said.sign_in);
  return new Error(said.message ?? `The gateway answered ${response.status}. Try again.`);
}

async function answer(fields, said) {
  const response = await fetch(form.dataset.stream, { method: "POST", body: fields, signal: running.signal });
  if (!response.ok) throw await refusalOf(response);
  let ended = false;
  try {
    for await (const event of eventsOf(response)) {
      if (event.type === "content_block_delta") {
        said.textContent += event.delta.text ?? "";
        said.classList.toggle("thinking", !said.textContent);
      } else if (event.type === "error") throw new Error(event.error.message);
      else if (event.type === "message_delta" && event.delta.stop_reason) {
        ended = true;
        if (event.delta.stop_reason === "max_tokens") tell("The answer was cut at the most tokens that you allow.");
        if (event.delta.stop_reason === "refusal") tell("The model refused to answer this.");
      }
    }
    if (!ended) throw new Error("The answer broke off.");
  } finally {
    askBill(response.headers.get("request-id"));
  }
}

async function send() {
  const text = box.value.trim();
  if (!text || running) return;
  const fields = new URLSearchParams(new FormData(form));
  running = new AbortController();
  trouble.replaceChildren();
  const asked = showTurn("user", "You");
  asked.said.textContent = text;
  const given = showTurn("assistant", form.elements.model.value);
  given.article.classList.add("writing");
  turns.setAttribute("aria-busy", "true");
  box.value = "";
  sendButton.hidden = true;
  stopButton.hidden = false;
  given.article.scrollIntoView({ block: "nearest" });
  try {
    await answer(fields, given.said);
  } catch (error) {
    if (error.name !== "AbortError") tell(error instanceof TypeError ? "The gateway does not answer, or the connection broke. Try again." : error.message);
  }
  if (given.said.textContent.trim()) {
    keepTurn("user", text);
    keepTurn("assistant", given.said.textContent);
  } else {
    asked.article.remove();
    given.article.remove();
    box.value = text;
  }
  given.article.classList.remove("writing");
  turns.removeAttribute("aria-busy");
  stopButton.hidden = true;
  sendButton.hidden = false;
  running = null;
  box.focus();
}

if (form) {
  document.getElementById("send-help").textContent = "Ctrl Enter sends";
  form.addEventListener("submit", (event) => { event.preventDefault(); send(); });
  stopButton.addEventListener("click", () => running?.abort());
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); send(); }
  });
  document.getElementById("team")?.addEventListener("change", (event) => event.target.form.requestSubmit());
}
