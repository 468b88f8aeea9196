"""Compares the store with raw `sqlite3` and with other packages, on the same work in one run: `python -m benchmarks`, after `pip install -e ".[bench]"`.

Modules: stores (what is measured), jobs (the work), run (the order of the measurements), report (the results)."""
