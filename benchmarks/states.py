"What the sessions hold: made-up transcripts, the same in every run."
import json
import random
from collections.abc import Iterator
from itertools import count
from typing import Any

STEPS = ["upload", "split", "review", "export"]
_SYLLABLES = "an be cor di el fa go hu in jo ka lo mi ne or pa qui re sa tu un ve wi xo ya ze".split()

def size_of(value: Any) -> int:
    "Bytes as compact JSON."
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())

def _vocabulary(rng: random.Random) -> list[str]:
    return ["".join(rng.choices(_SYLLABLES, k=rng.randint(1, 4))) for _ in range(2000)]

def sentences(seed: int) -> Iterator[str]:
    "Sentences of 3 to 40 words, some words far more common than others, as in a language."
    rng = random.Random(seed)
    words = _vocabulary(rng)
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    while True: yield " ".join(rng.choices(words, weights, k=rng.randint(3, 40))).capitalize() + "."

def notes() -> Iterator[str]:
    "Short texts, all different; their length varies, for constant lengths flatter stores that overwrite in place."
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
    "The state of an app that keeps all under one key."
    return {"step_states": steps(size)}

def labels(count: int = 10_000) -> dict[str, dict[str, Any]]:
    "A map of many small records."
    rng = random.Random(2)
    return {f"item-{i:05d}": {"label": rng.choice(["keep", "drop", "unsure"]), "score": rng.random(), "by": rng.choice(["ana", "ben"])}
            for i in range(count)}

def deep() -> dict[str, Any]:
    "The state of an app that keeps its steps and 50 snapshots of them, each of 160 KB, under two keys."
    return {"step_states": steps(160_000), "history": [steps(160_000) for _ in range(50)]}
