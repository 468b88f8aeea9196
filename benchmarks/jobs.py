"The work: the content of the sessions, invented transcripts that are the same in every run, and the operations that are timed."
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, cycle, repeat
from typing import Any

from benchmarks.stores import State, Store

STEPS = ["upload", "split", "review", "export"]
_SYLLABLES = "an be cor di el fa go hu in jo ka lo mi ne or pa qui re sa tu un ve wi xo ya ze".split()

def size_of(value: Any) -> int:
    "Bytes as compact JSON."
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())

def _vocabulary(rng: random.Random) -> list[str]:
    return ["".join(rng.choices(_SYLLABLES, k=rng.randint(1, 4))) for _ in range(2000)]

def sentences(seed: int) -> Iterator[str]:
    "Sentences of 3 to 40 words; as in a language, some words are far more common than others."
    rng = random.Random(seed)
    words = _vocabulary(rng)
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    while True: yield " ".join(rng.choices(words, weights, k=rng.randint(3, 40))).capitalize() + "."

def notes() -> Iterator[str]:
    "Short texts, all different. Their length varies, because a constant length favours stores that overwrite in place."
    rng = random.Random(1)
    for i in count(): yield f"{i} " + "x" * rng.randint(10, 200)

def segments(size: int, seed: int = 0) -> list[dict[str, Any]]:
    "A step's list of about `size` bytes."
    made: list[dict[str, Any]] = []
    start, text = 0.0, sentences(seed)
    while size > 0:
        end = round(start + 3.7, 2)
        made.append({"id": len(made), "start": start, "end": end, "text": next(text), "checked": False})
        start, size = end, size - size_of(made[-1]) - 1
    return made

def steps(size: int) -> dict[str, dict[str, Any]]:
    "Four steps that share `size` bytes."
    return {name: {"segments": segments(size // 4 - 40, seed), "cursor": 0, "done": False} for seed, name in enumerate(STEPS)}

def session(size: int) -> dict[str, Any]:
    "The state of a session, each step under its own top-level key."
    return {"title": "Interview 7", "note": "", **{f"_step_{name}": step for name, step in steps(size).items()}}

def nested(size: int) -> dict[str, Any]:
    "The state of an app that keeps everything under one key."
    return {"step_states": steps(size)}

def labels(count: int = 10_000) -> dict[str, dict[str, Any]]:
    "A map of many small records."
    rng = random.Random(2)
    return {f"item-{i:05d}": {"label": rng.choice(["keep", "drop", "unsure"]), "score": rng.random(), "by": rng.choice(["ana", "ben"])}
            for i in range(count)}

def deep() -> dict[str, Any]:
    "The state of an app that keeps its steps and 50 snapshots of them, each of 160 KB, under two keys."
    return {"step_states": steps(160_000), "history": [steps(160_000) for _ in range(50)]}

SIZES = {"10 KB": 10_000, "1 MB": 1_000_000, "10 MB": 10_000_000}
SID = "s0"

@dataclass(frozen=True)
class Data:
    "The content of a file, created once and shared by its jobs."
    make: Callable[[Store], None]
    options: dict[str, Any] = field(default_factory=dict)  # how the store is opened

@dataclass(frozen=True)
class Job:
    name: str
    data: str
    floor: str  # the simplest raw code that could do the job: "fields" or "blob"
    start: Callable[[Store], tuple[Callable[..., Any], Iterator[tuple[Any, ...]]]]  # the timed function, and its arguments
    writes: bool = True
    only: str = ""  # the only store that can do it

def _one(state: Callable[[], State]) -> Callable[[Store], None]: return lambda store: store.create(SID, state())

def _sessions(count: int, newest_size: int = 1000) -> Callable[[Store], None]:
    "Sessions of 1 KB each, the newest 50 of `newest_size`."
    def make(store: Store) -> None:
        small, big = session(1000), session(newest_size)
        for i in range(count): store.create(f"s{i}", big if i >= count - 50 else small)
    return make

def edits() -> Iterator[State]:
    "A step of 100 KB; in each edit another sentence of it changes."
    rng, texts = random.Random(3), sentences(4)
    step = {"segments": segments(100_000)}
    while True:
        rng.choice(step["segments"])["text"] = next(texts)
        yield step

def _edited(depth: int) -> Callable[[Store], None]:
    "A session of 100 KB, edited until its undo is `depth` deep."
    def make(store: Store) -> None:
        store.create(SID, {"title": "Interview 7", "_step_review": {"cursor": 0}})
        for step, _ in zip(edits(), range(depth)): store.undoable(SID, "review", step)
    return make

def _saves(state: State, edit: Callable[[State, int], None]) -> Iterator[tuple[str, State]]:
    for i in range(1, 10 ** 9):
        edit(state, i)
        yield SID, state

def _move_cursor(state: State, i: int) -> None: state["step_states"]["review"]["cursor"] = i
def _change_label(state: State, i: int) -> None: state["labels"][f"item-{i * 7919 % 10_000:05d}"]["by"] = f"person {i}"

def _label_keys() -> Iterator[tuple[str, str, State]]:
    for i, note in enumerate(notes()): yield SID, "labels", {f"item-{i * 7919 % 10_000:05d}": {"label": "keep", "score": 0.5, "by": note}}

DATA = {
    **{f"session of {name}": Data(_one(lambda size=size: session(size))) for name, size in SIZES.items()},  # type: ignore[misc]
    **{f"nested, {name}": Data(_one(lambda size=size: nested(size))) for name, size in SIZES.items()},  # type: ignore[misc]
    "deep": Data(_one(deep)),
    "1,000 sessions": Data(_sessions(1000)),
    "10,000 sessions": Data(_sessions(10_000)),
    "10,000 sessions, newest of 1 MB": Data(_sessions(10_000, 1_000_000)),
    "map as a step": Data(_one(lambda: {"title": "Labels", "_step_labels": labels()})),
    "map under a key": Data(_one(lambda: {"title": "Labels", "labels": labels()})),
    **{f"edited, depth {depth}": Data(_edited(depth), {} if depth == 50 else {"depth": depth}) for depth in (5, 50, 500)},
}

def _of_size(name: str) -> list[Job]:
    here = f"session of {name}"
    return [
        Job(f"read the whole state, {name}", here, "blob", lambda store: (store.read, repeat((SID,))), writes=False),
        Job(f"read one step, {name}", here, "fields", lambda store: (store.read_step, repeat((SID, "review"))), writes=False),
        Job(f"merge one key, {name}", here, "fields", lambda store: (store.merge, ((SID, {"note": note}) for note in notes()))),
        Job(f"advance the step, {name}", here, "fields", lambda store: (store.set_step, ((SID, step) for step in cycle(STEPS)))),
        Job(f"save the whole state, cursor moved, {name}", f"nested, {name}", "blob",
            lambda store: (store.save, _saves(nested(SIZES[name]), _move_cursor))),
    ]

def _whole(name: str) -> Job:
    return Job(f"read all of a session at one moment, {name}", f"session of {name}", "blob", lambda store: (store.session, repeat((SID,))),  # type: ignore[attr-defined]
               writes=False, only="package")

def _small_step(name: str, action: str) -> Job:
    "Change a key of a step of 1 KB, in a session of 10 MB."
    def start(store: Store) -> tuple[Callable[..., Any], Iterator[tuple[Any, ...]]]:
        store.merge_step(SID, "notes", {f"k{i}": "x" * 40 for i in range(2)})
        return getattr(store, action), ((SID, "notes", {"note": note}) for note in notes())
    return Job(name, "session of 10 MB", "fields", start, only="package")

def _newest(name: str) -> Job: return Job(f"newest 50 of {name}", name, "fields", lambda store: (store.newest, repeat((50,))), writes=False)

def _undoable(depth: int, only: str = "") -> Job:
    return Job(f"undoable edit of 100 KB, depth {depth}", f"edited, depth {depth}", "fields",
               lambda store: (store.undoable, ((SID, "review", step) for step in edits())), only=only)

JOBS = {job.name: job for job in [
    Job("get the current step", "session of 10 KB", "fields", lambda store: (store.get_step, repeat((SID,))), writes=False),
    Job("ask whether the session exists", "session of 10 KB", "fields", lambda store: (store.exists, repeat((SID,))), writes=False),
    *[job for name in SIZES for job in _of_size(name)],
    *[_newest(name) for name in DATA if "sessions" in name],
    Job("map as a step, read", "map as a step", "fields", lambda store: (store.read_step, repeat((SID, "labels"))), writes=False),
    Job("map as a step, change one key", "map as a step", "fields", lambda store: (store.merge_step, _label_keys())),
    Job("map under a key, save the state, one entry changed", "map under a key", "blob",
        lambda store: (store.save, _saves({"title": "Labels", "labels": labels()}, _change_label))),
    _undoable(50), _undoable(5, "package"), _undoable(500, "package"),
    Job("read a deep state of 8 MB", "deep", "blob", lambda store: (store.read, repeat((SID,))), writes=False),
    *[_whole(name) for name in ("10 KB", "1 MB")],
    _small_step("change a key of a small step, 10 MB", "merge_step"), _small_step("the same by edit_session", "edit"),
]}

def check(store: Store) -> None:
    "Check that the store does what is measured."
    store.create("check", {"title": "a", "_step_review": {"n": 1}})
    store.merge("check", {"title": "b"})
    store.merge_step("check", "review", {"m": 2})
    store.set_step("check", "review")
    step = {"n": 1, "m": 2}
    assert store.read("check") == {"title": "b", "_step_review": step} and store.read_step("check", "review") == step
    store.save("check", {"title": "c", "_step_review": step})
    store.undoable("check", "review", {"n": 5})
    assert store.read("check")["title"] == "c" and store.read_step("check", "review")["n"] == 5
    assert store.get_step("check") == "review" and store.exists("check") and not store.exists("nobody")
    assert len(store.newest(50)) == 1
