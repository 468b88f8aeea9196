// htmx sends what the buttons say, one after the other. This adds keys, buttons that come and go with the text, and honesty about what is not saved.
const running = new Set();  // requests that the server has not answered
const on = (name, f) => document.addEventListener(name, f);
const tell = text => { document.getElementById("notice").textContent = text; };

on("htmx:beforeSend", event => running.add(event.detail.xhr));
on("htmx:beforeOnLoad", event => running.delete(event.detail.xhr));  // before htmx goes to another step, which is no reason to ask "Leave site?"
on("htmx:afterRequest", event => running.delete(event.detail.xhr));
on("htmx:sendError", () => tell("The server does not answer. Your last click may not be saved; try again."));
on("htmx:responseError", () => tell("The server failed. Your last click may not be saved; try again."));
addEventListener("beforeunload", event => {
  const comment = document.getElementById("comment");
  if (running.size || (comment && comment.value !== comment.defaultValue)) event.preventDefault();
});

// A comment is sent when its box is left. If that failed, it goes ahead of the next click, which would take the box away.
document.addEventListener("click", event => {
  const comment = document.getElementById("comment");
  if (event.target.closest("button") && !running.size && comment && comment.value !== comment.defaultValue) htmx.trigger(comment, "change");
}, true);

// A button inside the page may be gone before its turn comes, so the page asks in its place.
on("click", event => {
  const button = event.target.closest("[data-do]");
  if (button) htmx.ajax("POST", button.dataset.do, { source: "#page", values: { to: button.dataset.to ?? 0, value: button.dataset.value ?? "" } });
});

function writeComment() {
  if (running.size) document.addEventListener("htmx:afterSettle", writeComment, { once: true });
  else document.getElementById("comment").focus();
}
on("click", event => { if (event.target.closest("#write-comment")) writeComment(); });

on("keydown", event => {
  const typing = event.target.matches("input, textarea, select");
  if (typing && (event.key === "Escape" || (event.key === "Enter" && (event.ctrlKey || event.target.matches("header input"))))) event.target.blur();
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const button = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (button) { event.preventDefault(); button.click(); }
});

const show = () => document.querySelector("[aria-current=true]")?.scrollIntoView({ block: "nearest" });
on("htmx:afterSettle", show);
on("DOMContentLoaded", show);

on("change", event => {
  const { files, dataset } = event.target;
  if (files) event.target.setCustomValidity(files[0]?.size > dataset.most ? "The file is too big: at most 1 MB of text." : "");
});
