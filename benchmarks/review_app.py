"""A person's walk through the review app in a browser, at 300 and at 10,000 clauses; writes benchmarks/review_app.json.

usage: python -m benchmarks.review_app [--check]     needs the extras app and browser, and Chromium; --check prints and writes nothing"""
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

HERE = Path(__file__).parent
SIZES, ROUNDS = (300, 10_000), 15
Step = Callable[[Any], float]  # does something in a page; returns milliseconds

# From a click until its answer, and not that of the box that was saved before, is on the page.
CLICK = """selector => new Promise(resolve => {
  const start = performance.now();
  let request;
  document.addEventListener("htmx:beforeSend", event => { request = event.detail.xhr; }, { once: true });
  document.addEventListener("htmx:afterSettle", function settled(event) {
    if (!request || event.detail.xhr !== request) return;
    document.removeEventListener("htmx:afterSettle", settled);
    resolve(performance.now() - start);
  });
  document.querySelector(selector).click();
})"""
# From leaving a box until its text is saved.
SAVE = """selector => new Promise(resolve => {
  const start = performance.now();
  document.addEventListener("htmx:afterRequest", () => resolve(performance.now() - start), { once: true });
  document.querySelector(selector).dispatchEvent(new Event("change", { bubbles: true }));
})"""
# From the request for a page until it is there and its scripts have run.
LOAD = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"

def document(clauses: int) -> bytes:
    "A review in JSON Lines: nine of ten clauses have a verdict, every twentieth a comment."
    def clause(i: int) -> dict[str, str]:
        verdict = "open" if i % 10 == 0 else "accepted" if i % 3 else "rejected"
        return {"text": f"Clause {i}. It says a thing; another.\n\n", "verdict": verdict, **({"comment": "Why?"} if i % 20 == 1 else {})}
    return "".join(json.dumps(clause(i), separators=(",", ":")) + "\n" for i in range(1, clauses + 1)).encode()

def upload(page: Any, url: str, clauses: int) -> float:
    page.goto(url)
    page.set_input_files("[name=file]", {"name": "lease.jsonl", "mimeType": "application/jsonl", "buffer": document(clauses)})
    page.click("text=Start")
    page.wait_for_selector("#page")
    return float(page.evaluate(LOAD))

def click(selector: str) -> Step: return lambda page: float(page.evaluate(CLICK, selector))

def load(address: str) -> Step:
    def run(page: Any) -> float:
        page.goto(address)
        return float(page.evaluate(LOAD))
    return run

def save(button: str, selector: str, text: str) -> Step:
    def run(page: Any) -> float:
        page.click(button)  # opens the box
        page.fill(selector, text)
        took = float(page.evaluate(SAVE, selector))
        page.wait_for_selector("#state >> text='Saved.'")  # a save of an earlier key may still be on its way
        return took
    return run

def walk(url: str, clauses: int, i: int = 0) -> dict[str, Step]:
    "What a reviewer does, in this order, at an open clause in the middle; in each round at another one."
    open_clause = clauses // 2 + 10 * i
    return {
        "go to a clause by its number": load(f"{url}review?number={open_clause}"), "accept": click("#accept"), "undo": click("#undo"), "redo": click("#redo"),
        "next": click("#next"), "save a comment": save("#write-comment", "#comment", f"Comment {i}"), "next open": click("#next-open"), "turn the page": click("#later"),
        "go to the last clause": load(f"{url}review?number={clauses}"), "open the step split": load(f"{url}split?number={open_clause}"),
        "merge": click("#merge"), "split": click("[data-action=cut]"), "edit the text": save("#edit-text", "#text", f"Written anew {i}."),
        "search": load(f"{url}find?q=clause+{clauses}"), "search for nothing": load(f"{url}find?q=nowhere"), "filter": load(f"{url}find?only=commented"),
        "search and filter": load(f"{url}find?q=clause&only=open"), "open the step export": load(f"{url}export"), "list the sessions": load(f"{url}../../")}

def session_url(page: Any) -> str: return str(re.match(r".*/s/[^/]+/", page.url)[0])  # type: ignore[index]

@contextmanager
def app(folder: Path) -> Iterator[str]:
    "The app in a process of its own; its address."
    command = [sys.executable, "-m", "examples.review_app", "--db", str(folder/"review.db"), "--port", "0"]
    with subprocess.Popen(command, cwd=HERE.parent, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        yield next(found[0] for line in process.stderr if (found := re.search(r"http://[\w.:]+", line)))
        process.terminate()

def measure(browser: Any, url: str, clauses: int, rounds: int = ROUNDS) -> dict[str, float]:
    "Medians over the rounds, in milliseconds."
    page = browser.new_context().new_page()
    found: dict[str, list[float]] = {"upload": [upload(page, url, clauses)]}
    address = session_url(page)
    for i in range(rounds):
        for name, step in walk(address, clauses, i).items(): found.setdefault(name, []).append(step(page))
    return {name: round(median(times), 1) for name, times in found.items()}

def main() -> None:
    from benchmarks.run import machine
    from playwright.sync_api import sync_playwright
    with TemporaryDirectory() as folder, app(Path(folder)) as url, sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"])
        results = {"machine": machine(Path(folder)), "rounds": ROUNDS, "walk": {str(clauses): measure(browser, url, clauses) for clauses in SIZES}}
        browser.close()
    text = json.dumps(results, indent=1) + "\n"
    print(text)
    if "--check" not in sys.argv: (HERE/"review_app.json").write_text(text, encoding="utf-8")

if __name__ == "__main__": main()
