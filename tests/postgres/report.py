"Run test_faults.py and test_operations.py with the long number of rounds and write report.json.  usage: python -m tests.postgres.report"
import sys
from pathlib import Path

import psycopg

from tests.faults.report import record

from .server import PostgresServer

def main(args):
    with PostgresServer() as server, psycopg.connect(server.conninfo) as con:
        version = con.execute('SHOW server_version').fetchone()[0].split()[0]
    scenes = [Path(__file__).with_name(name) for name in ('test_faults.py', 'test_operations.py')]
    record(scenes, args, postgresql=version, psycopg=psycopg.__version__)

if __name__ == '__main__': main(sys.argv[1:])
