"""The store side by side with raw `sqlite3` and with what else one could take, on the same work in one run: `python -m benchmarks`, after `pip install -e ".[bench]"`.

To read it: stores (what is measured), jobs (the work), run (who does it when), report (what came out)."""
