"Start the app. The server prints its address."
import argparse
import os
import socket
import sys

try: import fasthtml, uvicorn  # noqa: E401, F401
except ModuleNotFoundError as error: sys.exit(f'The app needs {error.name}, which is not installed: pip install -e ".[app]"')

parser = argparse.ArgumentParser(prog="python -m examples.review_app", description="Review a document clause by clause.")
parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
parser.add_argument("--port", type=int, default=8000, help="0: any free one (default: %(default)s)")
parser.add_argument("--db", default="review_app.db", help="a file, created if it is missing, or postgresql://... for several hosts (default: %(default)s)")
parser.add_argument("--url", default="", help="public address of the app behind a proxy, for example https://review.example.com")
parser.add_argument("--workers", type=int, default=1, help="processes, which share the database (default: %(default)s)")

def check_arguments(args: argparse.Namespace) -> None:
    if "://" in args.db and not args.db.startswith(("postgresql://", "postgres://")):
        parser.error(f"--db must be a file or begin with postgresql://, not {args.db.partition('://')[0]}://")
    if "://" in args.db and not os.environ.get("REVIEW_KEY"):
        parser.error("with PostgreSQL, set REVIEW_KEY in the environment: the secret with which all hosts sign cookies")

def check_port(host: str, port: int) -> None:
    "The server would only print an error number."
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try: free.bind((host, port))
        except OSError as error: sys.exit(f"Can't listen on {host}:{port}: {error.strerror}. Choose another port with --port.")

def check_database() -> None:
    "Import the app, which creates the file and the key, before several workers would."
    import sqlite3
    try: from . import app  # noqa: F401
    except ImportError as error: sys.exit(f'{error}. For PostgreSQL: pip install -e ".[app,postgres]"')
    except (OSError, ValueError, sqlite3.Error) as error: sys.exit(f"Can't open the database: {error}")
    except Exception as error:
        if "psycopg" not in {cls.__module__.partition(".")[0] for cls in type(error).__mro__}: raise
        sys.exit(f"Can't open the database: {error}")

if __name__ == "__main__":
    args = parser.parse_args()
    check_arguments(args)
    check_port(args.host, args.port)
    os.environ.update(REVIEW_DB=args.db if "://" in args.db else os.path.abspath(args.db), REVIEW_URL=args.url)  # for the workers
    check_database()
    uvicorn.run("examples.review_app.app:app", host=args.host, port=args.port, workers=args.workers, access_log=False,
                timeout_graceful_shutdown=2)  # seconds for clicks that are being saved; pages that wait for news would take longer
