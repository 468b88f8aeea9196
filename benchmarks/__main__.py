"""Measure all stores in one run, write benchmarks/results.json and the charts of the page, and print a table for every job.

With an option that leaves something out, the tables are only printed, unless --out names a file. A run needs about 4 GB of disk."""
import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Optional

from benchmarks import report
from benchmarks.jobs import JOBS
from benchmarks.report import HERE, Results
from benchmarks.run import MANY, imports, machine, many_writers, measure, say, versions
from benchmarks.stores import KINDS

EXTRAS = [*MANY, "import"]  # not timed call by call

def options(args: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a rough look in about a minute: fewer and shorter rounds, no job of 10 MB or of 10,000 sessions")
    parser.add_argument("--only", action="append", metavar="JOB", help=f"jobs whose name holds this; several times for several. Names: {'; '.join([*JOBS, *EXTRAS])}")
    parser.add_argument("--stores", action="append", metavar="STORE", help=f"stores whose name holds this; several times for several. Names: {', '.join(KINDS)}")
    parser.add_argument("--rounds", type=int, help="default 12, with --quick 3")
    parser.add_argument("--dir", type=Path, help="where the stores lie for the time of the run; default: the system's folder for temporary files")
    parser.add_argument("--out", type=Path, help="folder for results.json")
    parser.add_argument("--recorded", action="store_true", help="measure nothing: print the tables of benchmarks/results.json, and draw the pictures if matplotlib is installed")
    return parser.parse_args(args)

def chosen(names: Iterable[str], parts: Optional[list[str]]) -> list[str]: return [name for name in names if not parts or any(part in name for part in parts)]

def stores(parts: Optional[list[str]]) -> list[str]:
    "The chosen stores that are installed; a message names the others."
    found = chosen(KINDS, parts)
    missing = [kind for kind in found if KINDS[kind].package and not KINDS[kind].version]
    if missing: say("not installed:", ", ".join(missing))
    return [kind for kind in found if kind not in missing]

def run(ask: argparse.Namespace, kinds: list[str]) -> Results:
    rounds = ask.rounds or (3 if ask.quick else 12)
    jobs = chosen([job for job in JOBS if not ask.quick or ("10 MB" not in job and "10,000" not in job)], ask.only)
    extras = chosen(EXTRAS, ask.only)
    if not jobs and not extras: sys.exit(f"no job is named so; there are {'; '.join([*JOBS, *EXTRAS])}")
    with TemporaryDirectory(dir=ask.dir, ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        results: Results = {"machine": machine(folder), "rounds": rounds, "stores": {kind: KINDS[kind].synchronous for kind in kinds}, "versions": versions(kinds)}
        results["jobs"] = measure(kinds, jobs, rounds, 0.02 if ask.quick else 0.06, folder) if jobs else {}
        if set(MANY) & set(extras): results["writers"] = many_writers(kinds, 1 if ask.quick else 5, 50 if ask.quick else 250, folder)
    if "import" in extras: results["imports"] = imports(results["versions"], rounds)
    return results

def measured(ask: argparse.Namespace) -> Results:
    kinds = stores(ask.stores)
    if not kinds: sys.exit(f"no store is named so; there are {', '.join(KINDS)}")
    return run(ask, kinds)

def main(args: Optional[Sequence[str]] = None) -> None:
    ask = options(args)
    results = report.recorded() if ask.recorded else measured(ask)
    print(report.markdown(results))
    whole = not (ask.quick or ask.only or ask.stores)
    out = ask.out or (HERE if whole and not ask.recorded else None)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        (out/"results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if whole and find_spec("matplotlib"): report.draw(results)

if __name__ == "__main__": main()
