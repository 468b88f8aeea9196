"""The store side by side with raw `sqlite3` and with what else one could take, on the same work in one run.

`python -m benchmarks` measures all (`pip install -e ".[bench]"` first); `python -m benchmarks.cost` needs only the package.
"""
