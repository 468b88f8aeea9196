"examples/resume.py, as a user runs it."
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1]/"examples"/"resume.py"

def run(*args): return subprocess.run([sys.executable, EXAMPLE, *args], capture_output=True, text=True, encoding="utf-8", timeout=120)

def lines(*args):
    "The lines that the example prints, by their first word."
    done = run(*args)
    assert (done.returncode, done.stderr) == (0, "")
    return {line.split()[0]: line for line in done.stdout.splitlines() if line.startswith("  ")}, done.stdout

def numbers(line): return list(map(int, re.findall(r"\d+", line)))

def test_killed_and_resumed():
    said, text = lines()
    [acknowledged] = numbers(text.splitlines()[1])
    survived, _ = numbers(said["survived"])
    clauses = numbers(text.splitlines()[0])[0]
    assert 1 < acknowledged <= survived <= clauses
    assert numbers(said["undone"]) == [survived, survived - 1] and numbers(said["redone"]) == [survived - 1]
    assert survived == clauses or numbers(said["resumed"])[0] == survived
    done, total, accepted, rejected = numbers(said["finished"])
    assert done == total == clauses == accepted + rejected and rejected > 0

def test_a_text_of_one_clause(tmp_path):
    (tmp_path/"one.txt").write_text("The tenant pays.")
    said, _ = lines(tmp_path/"one.txt")
    assert "accept clause 1" in said["redone"] and "1 of 1" in said["finished"]

@pytest.mark.parametrize("name, content, reason", [("missing.txt", None, "can't read"), ("empty.txt", b" \n\n", "has no text"), ("bytes.txt", b"\xff\xfe", "not UTF-8")])
def test_a_bad_text_is_refused_in_one_line(tmp_path, name, content, reason):
    if content is not None: (tmp_path/name).write_bytes(content)
    done = run(tmp_path/name)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and reason in done.stderr and name in done.stderr
