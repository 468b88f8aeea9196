// htmx sends what the buttons say, one after the other. This adds keys, focus and addresses that stay with the person,
// and honesty about what is not saved.
const on = (name, f, capture = false) => document.addEventListener(name, f, capture);
const find = id => document.getElementById(id);
const current = () => document.querySelector("[aria-current=true] .number, .choices [aria-pressed=true]");
const unsaved = () => { const box = find("comment"); return Boolean(box) && box.value !== box.defaultValue; };
const tell = text => { find("notice").textContent = text; };

Object.assign(htmx.config, {
  allowEval: false, includeIndicatorStyles: false, historyEnabled: false,
  responseHandling: [
    { code: "204", swap: false }, { code: "2..", swap: true },
    { code: "(4..|503)", swap: true, target: "#notice", swapOverride: "innerHTML" },  // what is refused leaves the clauses where they are
    { code: "...", swap: false, error: true }],
});

// -- what is on its way
const running = new Set();  // requests that the server has not answered
let waiting = null;         // what is to be done once all of them are

function ended(event) {
  running.delete(event.detail.xhr);
  document.body.classList.toggle("busy", running.size > 0);
}
function whenDone(f) {
  if (running.size) waiting = f;
  else f();
}
function failed(text) { tell(`${text} Your last click may not be saved; try again.`); }
on("htmx:beforeSend", event => {
  running.add(event.detail.xhr);
  document.body.classList.add("busy");
});
on("htmx:beforeOnLoad", ended);  // before htmx goes to another step, which is no reason to ask "Leave site?"
on("htmx:afterRequest", event => {
  const { elt, xhr, requestConfig } = event.detail;
  if (elt.id === "comment" && xhr.status === 200) elt.defaultValue = requestConfig.parameters.value;  // it stays in its box
  if (requestConfig.verb === "post" && xhr.status !== 200) find("said").textContent = "Not saved.";
  ended(event);
  setTimeout(() => {  // the next click in the queue has been sent by then
    if (running.size || !waiting) return;
    const then = waiting;
    waiting = null;
    then();
  });
});
on("htmx:sendError", () => failed("The server does not answer."));
on("htmx:responseError", () => failed("The server failed."));
addEventListener("beforeunload", event => { if (running.size || unsaved()) event.preventDefault(); });
addEventListener("pageshow", event => { if (event.persisted) location.reload(); });  // an old page out of the browser's memory

// A comment is sent as it is typed. If that failed, it goes ahead of the next click, which would take the box away;
// and a link is followed once all is saved.
on("click", event => {
  if (event.target.closest("button, a") && !running.size && unsaved()) htmx.trigger("#comment", "change");
  const link = event.target.closest("a[href]:not(#notice a, [data-do], [download])");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || !running.size) return;
  event.preventDefault();
  whenDone(() => { if (!unsaved()) link.click(); });
}, true);

// What stands inside the page may be gone before its turn comes, so the page asks in its place.
on("click", event => {
  const link = event.target.closest("[data-do]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  htmx.ajax("POST", link.dataset.do, { source: "#page", values: { to: link.dataset.to ?? 0, value: link.dataset.value ?? "" } });
});

// -- where the person is: focus, address, what is in sight
let inside = false;
function show() {
  const here = current();
  here?.closest("li")?.scrollIntoView({ block: "nearest" });
  const address = here?.href ?? document.querySelector(".steps [aria-current]")?.href;
  if (address) history.replaceState(null, "", address);
}
on("htmx:beforeSwap", () => { inside = find("page").contains(document.activeElement); });
on("htmx:afterSettle", event => {
  if (event.detail.elt.id === "comment") return;
  if (inside && document.activeElement === document.body) current()?.focus({ preventScroll: true });
  show();
});
addEventListener("pagehide", () => { sessionStorage.focus = document.activeElement.id; });
on("DOMContentLoaded", () => {
  const before = document.referrer.startsWith(new URL(".", location)) && find(sessionStorage.focus);
  if (before) before.focus({ preventScroll: true });
  show();
});

// -- keys: each button names its own
const keysOf = button => button.getAttribute("aria-keyshortcuts").split(" ");
const buttons = () => [...document.querySelectorAll("[aria-keyshortcuts]")];
on("keydown", event => {
  const letter = event.key.length === 1, typing = event.target.closest("input, textarea, select");
  const leave = event.key === "Escape" || (event.key === "Enter" && (event.ctrlKey || event.metaKey));
  if (typing && leave) (find("write-comment") ?? current())?.focus();
  if (typing || waiting || event.altKey || document.querySelector("dialog[open]")) return;
  const key = (event.ctrlKey || event.metaKey ? "Control+" : "") + (event.shiftKey && /[a-z]/i.test(event.key) ? "Shift+" : "")
    + (letter ? event.key.toUpperCase() : event.key);
  const button = buttons().find(button => keysOf(button).includes(key));
  if (button || (event.repeat && event.key === "Enter")) event.preventDefault();
  if (button && !event.repeat) button.click();  // a key that is held is one click
});
on("click", event => {
  if (event.target.closest("#write-comment")) whenDone(() => find("comment").focus());
  if (event.target.closest("#help button")) find("help").close();
  if (!event.target.closest("#keys")) return;
  find("help").querySelector("dl").replaceChildren(...buttons().flatMap(button => {
    const [keys, text] = [document.createElement("dt"), document.createElement("dd")];
    keys.textContent = keysOf(button).join(", ").replaceAll("Control", "Ctrl");
    text.textContent = button.dataset.name ?? button.firstChild.textContent;
    return [keys, text];
  }));
  find("help").showModal();
});

on("change", event => {
  const { files, dataset } = event.target;
  if (files) event.target.setCustomValidity(files[0]?.size > dataset.most ? "The file is too big: at most 1 MB of text." : "");
});
