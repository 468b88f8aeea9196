// htmx sends what the buttons say, one click after the other. This script adds keys, focus and addresses,
// saves boxes while the reviewer types, and says truthfully what is saved.
const on = (name, f, capture = false) => document.addEventListener(name, f, capture);
const find = id => document.getElementById(id);
const current = () => document.querySelector(".clauses [aria-current=true] .number, .choices [aria-current=true]");
const notify = text => { find("notice").textContent = text; };

const send = (action, options) => htmx.ajax("POST", action, options).catch(() => {});  // htmx reports errors by events

Object.assign(htmx.config, {
  allowEval: false, includeIndicatorStyles: false, historyEnabled: false,
  responseHandling: [
    { code: "204", swap: false }, { code: "2..", swap: true },
    { code: "(4..|503)", swap: true, target: "#notice", swapOverride: "innerHTML" },  // a refused click leaves the clauses where they are
    { code: "...", swap: false, error: true }],
});

// -- boxes: a comment, the text of a clause, the name of the session
const SAVE_AFTER = 1000, RETRY_AFTER = 2000;  // milliseconds
const boxes = () => [...document.querySelectorAll("[data-box]")];
const isDirty = box => box.value !== box.defaultValue;  // defaultValue is what the server has
const isRefused = box => box.refused === box.value;  // sending the same again would not help
const dirtyBoxes = () => boxes().filter(isDirty);

function save(box) {
  clearTimeout(box.timer);
  box.timer = null;
  if (!isDirty(box) || isRefused(box) || box.waiting) return;
  box.waiting = true;
  send(box.dataset.box, { source: box, values: { to: box.dataset.to ?? "" } });
}
function saveLater(box, milliseconds) {  // not put off by further typing
  box.timer ??= setTimeout(() => save(box), milliseconds);
}
function saveAll() { dirtyBoxes().forEach(save); }

function answered(box, status, sent) {
  box.waiting = false;
  box.sent = undefined;
  box.failed = status !== 200;
  if (status === 200) {
    box.defaultValue = sent;
    if (find("notice").textContent.startsWith("The server")) notify("");
    if (isDirty(box)) saveLater(box, SAVE_AFTER);
  } else if (status >= 400 && status < 500) box.refused = sent;
  else saveLater(box, RETRY_AFTER);
}
on("htmx:configRequest", event => {
  const { elt, parameters } = event.detail;
  if (elt.dataset.box === undefined) return;
  elt.sent = elt.value;
  delete parameters[elt.name];
  Object.assign(parameters, { value: elt.value, was: elt.defaultValue });
});
on("htmx:beforeRequest", event => {  // its answer would replace a box whose text the server does not have
  const { elt, requestConfig } = event.detail;
  if (elt.dataset.box === undefined && requestConfig.verb === "post" && dirtyBoxes().some(box => box.failed && find("page").contains(box))) event.preventDefault();
});
on("input", event => {
  if (event.target.dataset.box === undefined) return;
  showState();
  saveLater(event.target, SAVE_AFTER);
});
on("change", event => { if (event.target.dataset.box !== undefined) save(event.target); });
on("click", event => {
  const button = event.target.closest("#save-mine"), box = button && dirtyBoxes().find(isRefused);
  if (!box) return;
  box.defaultValue = button.dataset.current;
  box.refused = undefined;
  notify("");
  save(box);
});

// A page that goes away sends what is not saved yet. The request outlives the page.
function sendNow(box) {
  const form = new URLSearchParams({ to: box.dataset.to ?? "", value: box.value, was: box.defaultValue, sent: box.sent ?? box.defaultValue });
  for (const input of document.querySelectorAll("#position input")) form.set(input.name, input.value);
  fetch(box.dataset.box, { method: "POST", body: form, keepalive: true });
}
addEventListener("pagehide", () => dirtyBoxes().filter(box => !isRefused(box)).forEach(sendNow));
on("visibilitychange", () => { if (document.visibilityState === "hidden") saveAll(); });
addEventListener("beforeunload", event => {
  if (running.size || dirtyBoxes().some(box => box.failed)) event.preventDefault();
});
addEventListener("pageshow", event => {
  if (event.persisted) location.reload();  // an old page from the browser's memory
  dirtyBoxes().forEach(box => saveLater(box, SAVE_AFTER));  // filled in by the browser
});

// -- requests, and what is saved
const running = new Set();  // requests that the server has not answered
let waiting = null;         // what to do when all of them are answered
let lastFailed = false;

function showState() {
  const state = find("state");
  if (!state) return;
  const dirty = dirtyBoxes();
  const text = running.size ? "Saving…" : lastFailed || dirty.some(box => box.failed) ? "Not saved."
    : dirty.length ? "Not saved yet." : "Saved.";
  if (state.textContent !== text) state.textContent = text;
}
function whenDone(f) {
  if (running.size) waiting = f;
  else f();
}
function ended(event) {
  running.delete(event.detail.xhr);
  showState();
}
on("htmx:beforeSend", event => {
  running.add(event.detail.xhr);
  showState();
});
on("htmx:beforeOnLoad", ended);  // before htmx goes to another step, which is no reason to ask "Leave site?"
on("htmx:afterRequest", event => {
  const { elt, xhr, requestConfig } = event.detail;
  if (requestConfig.verb === "post") {
    lastFailed = xhr.status !== 200;
    if (lastFailed) find("said").textContent = "";  // "Not saved." is not about the click before
  }
  if (elt.dataset.box !== undefined) answered(elt, xhr.status, requestConfig.parameters.value);
  ended(event);
  setTimeout(() => {  // the next click in the queue has been sent by then
    if (running.size || !waiting) return;
    const then = waiting;
    waiting = null;
    then();
  });
});
on("htmx:sendError", () => notify("The server does not answer. Your last click may not be saved. Try again."));
on("htmx:responseError", () => notify("The server failed. Your last click may not be saved. Try again."));

// What others change. The server answers when the session is at another revision than this page, or after a while.
const ASK_AGAIN_AFTER = 1000;  // milliseconds
let asking = false;

async function askForNews() {
  const shown = find("revision")?.value;
  const isBusy = () => running.size || find("notice").textContent;  // a notice may have a button that the reviewer needs
  if (asking || shown === undefined || isBusy() || document.visibilityState === "hidden") return;
  asking = true;
  const answer = await fetch(`news?revision=${shown}`, { headers: { "HX-Request": "true" } }).catch(() => null);
  const text = answer?.status === 409 ? await answer.text().catch(() => "") : "";
  asking = false;
  if (!isBusy() && find("revision").value === shown) find("notice").innerHTML = text;  // another revision: it was this page's own click
}
setInterval(askForNews, ASK_AGAIN_AFTER);
on("visibilitychange", askForNews);

// What was typed is sent ahead of the next click, which would replace its box. A link is followed when all is saved.
on("click", event => {
  if (event.target.closest("button, a") && !event.target.closest("#save-mine")) saveAll();
  const link = event.target.closest("a[href]:not(#notice a, [data-action], [download])");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || !running.size) return;
  event.preventDefault();
  whenDone(() => link.click());
}, true);

// A button inside the page may be replaced before its turn comes, so the page sends its click.
on("click", event => {
  const button = event.target.closest("[data-action]");
  if (!button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  send(button.dataset.action, { source: "#page", values: { to: button.dataset.to } });
});

// -- where the reviewer is: focus, address, what is in view
let focusWasInside = false;
function showCurrent() {
  const here = current();
  here?.closest("li")?.scrollIntoView({ block: "nearest" });
  if (here?.closest(".clauses")) history.replaceState(null, "", here.href);
}
on("htmx:beforeSwap", () => { focusWasInside ||= find("page").contains(document.activeElement); });
on("htmx:afterSettle", event => {
  if (event.detail.elt.dataset.box !== undefined) return;
  if (focusWasInside && document.activeElement === document.body) current()?.focus({ preventScroll: true });
  focusWasInside = false;
  showCurrent();
});
addEventListener("pagehide", () => { sessionStorage.focus = document.activeElement.id; });
on("DOMContentLoaded", () => {
  const before = document.referrer.startsWith(new URL(".", location)) && find(sessionStorage.focus);
  if (before) (before.closest(".find") ? current() ?? before : before).focus({ preventScroll: true });
  showCurrent();
  showState();
  showTimes();
  showLetters();
});

// -- keys: each button names its own
const keysOf = button => button.getAttribute("aria-keyshortcuts").split(" ");
const buttons = () => [...document.querySelectorAll("[aria-keyshortcuts]")];
const lettersAreOn = () => localStorage.letters !== "off";
const nameOf = button => button.dataset.name ?? (button.querySelector("span") ?? button).textContent;

function showLetters() {
  document.body.classList.toggle("no-letters", !lettersAreOn());
  if (find("letters")) find("letters").checked = lettersAreOn();
}
function keyOf(event) {
  const letter = event.key.length === 1;
  const control = event.ctrlKey || event.metaKey;
  if (letter && !control && !lettersAreOn()) return null;
  const shift = event.shiftKey && /[a-z]/i.test(event.key);
  return (control ? "Control+" : "") + (shift ? "Shift+" : "") + (letter ? event.key.toUpperCase() : event.key);
}
function press(target) {
  if (target.matches("input")) target.focus();
  else target.click();
}
on("keydown", event => {
  const typing = event.target.closest("input:not([type=checkbox]), textarea, select");
  const leave = event.key === "Escape" || (event.key === "Enter" && (event.ctrlKey || event.metaKey));
  if (typing && leave) leaveBox(event.target);
  if (typing || waiting || event.altKey || document.querySelector("dialog[open]")) return;
  const key = keyOf(event), button = buttons().find(button => keysOf(button).includes(key));
  if (button || (event.repeat && event.key === "Enter")) event.preventDefault();
  if (button && !event.repeat) press(button);  // a key that is held is one click
});
function leaveBox(box) {
  if (box.id === "text") closeText();
  (find({ comment: "write-comment", text: "edit-text" }[box.id]) ?? current())?.focus();
}
on("click", event => {
  if (event.target.closest("#write-comment")) whenDone(() => find("comment").focus());
  if (event.target.closest("#edit-text")) whenDone(openText);
  if (event.target.closest("#help button")) find("help").close();
  if (event.target.closest("#keys")) openHelp();
});
function openHelp() {
  find("help").querySelector("dl").replaceChildren(...buttons().flatMap(button => {
    const [keys, text] = [document.createElement("dt"), document.createElement("dd")];
    keys.textContent = keysOf(button).join(", ").replaceAll("Control", "Ctrl");
    text.textContent = nameOf(button);
    return [keys, text];
  }));
  find("help").showModal();
}
on("change", event => {
  if (event.target.id !== "letters") return;
  localStorage.letters = event.target.checked ? "on" : "off";
  showLetters();
});

// -- the text of a clause: its box takes the place of the text while the reviewer edits it
function openText() {
  const box = find("text");
  box.hidden = false;
  box.previousElementSibling.hidden = true;
  box.focus();
}
function closeText() {
  const box = find("text");
  save(box);
  whenDone(() => {  // shows the text as it is stored
    if (!isRefused(box) || !isDirty(box)) send("go", { source: "#page", values: { to: find("at").value } });
  });
}

// -- small things
function showTimes() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    time.textContent = new Date(time.dateTime).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  }
}
on("change", event => {
  const { files, dataset } = event.target;
  if (files) event.target.setCustomValidity(files[0]?.size > dataset.maxBytes ? "The file is too big: at most 1 MB of text is possible." : "");
});
