// What pages do in the browser. Everything works by plain links and forms; this adds dialogs, copied
// commands, the theme, and live parts.

const root = document.documentElement;

function onClick(selector, act) {
  document.addEventListener("click", (event) => {
    const found = event.target instanceof Element && event.target.closest(selector);
    if (found) act(found, event);
  });
}

// Dialogs: the element itself keeps the focus inside and closes on Escape.
onClick("[data-opens]", (button) => document.getElementById(button.dataset.opens).showModal());
onClick("[data-closes]", (button) => button.closest("dialog").close());
onClick("dialog", (dialog, event) => {
  if (event.target === dialog) dialog.close(); // beside it
});

onClick("[data-dismiss]", (button) => button.closest(".toast").remove());

onClick("[data-toggles]", (button) => {
  const open = button.getAttribute("aria-expanded") !== "true";
  button.setAttribute("aria-expanded", String(open));
  document.getElementById(button.dataset.toggles).classList.toggle("open", open);
});

onClick("[data-copies]", async (button) => {
  await navigator.clipboard.writeText(button.dataset.copies);
  button.classList.add("copied");
  setTimeout(() => button.classList.remove("copied"), 1500);
});

// The theme: as the system has it, light, dark.
const themes = ["system", "light", "dark"];
function nameTheme() {
  const name = root.dataset.theme ?? "system";
  for (const place of document.querySelectorAll("[data-theme-name]")) {
    place.textContent = `Theme: ${name}`;
  }
}
onClick("[data-theme-switch]", () => {
  const next = themes[(themes.indexOf(root.dataset.theme ?? "system") + 1) % themes.length];
  if (next === "system") {
    delete root.dataset.theme;
    localStorage.removeItem("theme");
  } else {
    root.dataset.theme = next;
    localStorage.setItem("theme", next);
  }
  nameTheme();
});
nameTheme();

// A form is sent once, however often its button is pressed.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  for (const button of event.target.querySelectorAll("button[type=submit]")) {
    setTimeout(() => (button.disabled = true));
  }
});

// Live parts: when a store changes, the page is fetched again and its live parts are exchanged.
const main = document.querySelector("main[data-watches]");
const state = document.querySelector("[data-live-state]");
const PAUSE = 1000; // milliseconds between two renewals
let stream = null;
let renewing = false;
let pending = false;

function tell(text, kind) {
  if (!state || state.textContent === text) return;
  state.textContent = text;
  state.dataset.kind = kind;
}

function isInUse(part) {
  // Nothing is taken from under somebody's hands.
  const active = document.activeElement;
  const typing = active && part.contains(active) && active.matches("input, select, textarea");
  return typing || part.querySelector("dialog[open]") !== null;
}

function openDetails(part) {
  return [...part.querySelectorAll("details[id][open]")].map((each) => each.id);
}

function exchange(part, fresh) {
  const opened = openDetails(part);
  const active = document.activeElement;
  const focused = active && part.contains(active) ? active.id || active.getAttribute("href") : null;
  const scrolled = [...part.querySelectorAll(".scrolls, .code")].map((each) => [each.scrollLeft, each.scrollTop]);
  part.replaceChildren(...fresh.childNodes);
  for (const id of opened) {
    const each = document.getElementById(id);
    if (each) each.open = true;
  }
  [...part.querySelectorAll(".scrolls, .code")].forEach((each, at) => {
    if (scrolled[at]) [each.scrollLeft, each.scrollTop] = scrolled[at];
  });
  if (focused) {
    const again = [...part.querySelectorAll("[id], a[href]")].find(
      (each) => each.id === focused || each.getAttribute("href") === focused,
    );
    again?.focus({ preventScroll: true });
  }
}

async function renew() {
  if (renewing) {
    pending = true;
    return;
  }
  renewing = true;
  try {
    const answer = await fetch(location.href, { headers: { "X-Holdfast-Live": "1" } });
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of document.querySelectorAll("[data-live]")) {
        const fresh = page.getElementById(part.id);
        if (fresh && !isInUse(part) && fresh.innerHTML !== part.innerHTML) exchange(part, fresh);
      }
      tell("Live", "on");
    } else {
      tell("Not up to date", "off");
    }
  } catch {
    tell("Not connected", "off");
  }
  await new Promise((done) => setTimeout(done, PAUSE));
  renewing = false;
  if (pending) {
    pending = false;
    renew();
  }
}

function connect() {
  if (!main || stream) return;
  stream = new EventSource(`/live?stores=${encodeURIComponent(main.dataset.watches)}`);
  let connected = false;
  stream.addEventListener("ready", () => {
    tell("Live", "on");
    if (connected) renew(); // it was away: something may have been missed
    connected = true;
  });
  stream.addEventListener("changed", renew);
  stream.addEventListener("error", () => tell("Not connected", "off"));
}

function disconnect() {
  stream?.close();
  stream = null;
}

// A page that nobody looks at asks for nothing; when it is seen again it is renewed.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    disconnect();
  } else if (main) {
    connect();
    renew();
  }
});
window.addEventListener("pagehide", disconnect);
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return; // else it comes back as it was left
  for (const button of document.querySelectorAll("button[disabled]")) button.disabled = false;
  connect();
  if (main) renew();
});
// "3 min ago" grows older by itself.
if (main) setInterval(() => document.hidden || renew(), 30_000);
if (!document.hidden) connect();
