"Run every test with its long number of rounds and write report.json.  usage: python -m tests.faults.report [pytest options]  (with options: only print)"
import json
import os
import platform
import sqlite3
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest

HERE = Path(__file__).parent

class Report:
    long_run = True  # the fixture `rounds` looks for this attribute

    def __init__(self): self.scenes, self.passed, self.skipped = {}, [], {}

    def pytest_runtest_teardown(self, item):
        if hasattr(item, 'figures'): self.scenes[item.name.removeprefix('test_')] = item.figures

    def pytest_runtest_logreport(self, report):
        name = report.nodeid.split('::')[-1].removeprefix('test_')
        if report.when == 'call' and report.passed: self.passed.append(name)
        if report.skipped: self.skipped[name] = getattr(report, 'wasxfail', '') or report.longrepr[2].removeprefix('Skipped: ')

def machine():
    memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') if hasattr(os, 'sysconf') else 0
    return {'system': f'{platform.system()} {platform.machine()}', 'processors': os.cpu_count(), 'memory_gb': round(memory / 2**30)}

def record(tests, args, **versions):
    "Run the tests in these paths; without options, write report.json beside the first."
    started, report = datetime.now(timezone.utc), Report()
    status = pytest.main([*map(str, tests), '-q', '-p', 'no:cacheprovider', *args], plugins=[report])
    if status: sys.exit(int(status))
    took = datetime.now(timezone.utc) - started
    text = json.dumps({
        'date': f'{started:%Y-%m-%d}', 'machine': machine(), 'python': platform.python_version(), **versions,
        'seconds': round(took.total_seconds()), 'passed': len(report.passed), 'skipped': report.skipped, 'scenes': report.scenes}, indent=1) + '\n'
    if args: print(text)
    else: ((tests[0] if tests[0].is_dir() else tests[0].parent)/'report.json').write_text(text)

if __name__ == '__main__': record([HERE], sys.argv[1:], sqlite=sqlite3.sqlite_version)
