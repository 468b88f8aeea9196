"Play every scene of test_faults.py with the long budget and write report.json.  usage: python -m tests.postgres.report"
import json
import platform
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.faults.report import Report, machine

HERE = Path(__file__).parent

def main(args):
    import psycopg

    from .server import PostgresServer
    with PostgresServer() as server, psycopg.connect(server.conninfo) as con:
        version = con.execute('SHOW server_version').fetchone()[0].split()[0]
    started, report = datetime.now(timezone.utc), Report()
    status = pytest.main([str(HERE/'test_faults.py'), '-q', '-p', 'no:cacheprovider', *args], plugins=[report])
    if status: sys.exit(int(status))
    took = datetime.now(timezone.utc) - started
    text = json.dumps({
        'date': f'{started:%Y-%m-%d}', 'machine': machine(), 'python': platform.python_version(),
        'postgresql': version, 'psycopg': psycopg.__version__, 'seconds': round(took.total_seconds()),
        'passed': len(report.passed), 'skipped': report.skipped, 'scenes': report.scenes}, indent=1) + '\n'
    if args: print(text)
    else: (HERE/'report.json').write_text(text)

if __name__ == '__main__': main(sys.argv[1:])
