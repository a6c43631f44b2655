// The live tail of the logs: new lines on top, no more than the page can carry, and a pause.

const MOST = 500; // lines that are kept here

const place = document.querySelector("[data-tail]");
const body = place?.querySelector("tbody");
const state = document.querySelector("[data-tail-state]");
const told = document.querySelector("[data-tail-told]");
const pause = document.querySelector("[data-tail-pause]");

let paused = false;
let waiting = []; // rows that came during the pause, the newest first
let missed = 0; // lines that came and are not here any more
let unreadable = 0;

function tell(text, kind) {
  if (state.textContent !== text) state.textContent = text;
  state.dataset.kind = kind;
}

function sum() {
  const parts = [`${body.rows.length} lines here`];
  if (missed) parts.push(`${missed} older ones gone from here`);
  if (unreadable) parts.push(`${unreadable} could not be read as log lines`);
  told.textContent = `${parts.join(", ")}. The newest ${MOST} are kept here.`;
}

function rowsOf(html) {
  const made = document.createElement("template");
  made.innerHTML = `<table><tbody>${html}</tbody></table>`; // made and escaped by the server
  return [...made.content.querySelector("tbody").rows];
}

function add(rows) {
  // What somebody reads does not move: the page stays where it is scrolled to.
  const before = document.documentElement.scrollHeight;
  body.prepend(...rows);
  while (body.rows.length > MOST) {
    body.deleteRow(-1);
    missed += 1;
  }
  if (window.scrollY > 200) window.scrollBy(0, document.documentElement.scrollHeight - before);
  sum();
}

function take(html) {
  const rows = rowsOf(html);
  if (!paused) {
    add(rows);
    return;
  }
  waiting = [...rows, ...waiting];
  missed += Math.max(0, waiting.length - MOST);
  waiting.length = Math.min(waiting.length, MOST);
  tell(`Paused, ${waiting.length} new`, "off");
}

function connect() {
  const stream = new EventSource(place.dataset.tail);
  stream.addEventListener("begin", () => {
    // The stream begins with the newest lines, also when it was away.
    body.replaceChildren();
    waiting = [];
    missed = 0;
    unreadable = 0;
    tell(paused ? "Paused" : "Live", paused ? "off" : "on");
  });
  stream.addEventListener("lines", (event) => take(event.data));
  stream.addEventListener("leftout", (event) => {
    missed += Number(event.data);
  });
  stream.addEventListener("unreadable", (event) => {
    unreadable = Number(event.data);
    sum();
  });
  stream.addEventListener("error", () => tell("Not connected", "off"));
  window.addEventListener("pagehide", () => stream.close());
}

pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  tell(paused ? "Paused" : "Live", paused ? "off" : "on");
  if (!paused && place) {
    add(waiting);
    waiting = [];
  }
});

if (place) connect();
else tell("Not connected", "off");
