"Start the app and print where it is."
import argparse
import os
import socket

import uvicorn
from uvicorn.supervisors import Multiprocess

parser = argparse.ArgumentParser(prog="python -m examples.review_app", description="Review a document clause by clause.")
parser.add_argument("--port", type=int, default=8000, help="0: any free one (default: %(default)s)")
parser.add_argument("--db", default="review_app.db", help="the file that holds all sessions, made if it is missing (default: %(default)s)")
parser.add_argument("--workers", type=int, default=1, help="processes, which share the file (default: %(default)s)")

if __name__ == "__main__":
    args = parser.parse_args()
    os.environ["REVIEW_DB"] = os.path.abspath(args.db)  # for the workers, which are processes of their own
    from .app import app  # noqa: F401: makes the file and the key before several workers would
    listening = socket.create_server(("127.0.0.1", args.port))  # before the address is printed, so that it can be opened at once
    print(f"Review a document at http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    config = uvicorn.Config("examples.review_app.app:app", workers=args.workers, log_level="warning")
    run = uvicorn.Server(config).run
    if args.workers == 1: run(sockets=[listening])
    else: Multiprocess(config, target=run, sockets=[listening]).run()
