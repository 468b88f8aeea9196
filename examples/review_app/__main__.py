"Start the app; the server prints its address."
import argparse, os, sys
try: import fasthtml, uvicorn  # noqa: E401
except ModuleNotFoundError as error: sys.exit(f'The app needs {error.name}, which is not installed: pip install -e ".[app]"')

parser = argparse.ArgumentParser(prog="python -m examples.review_app", description="Review a document clause by clause.")
parser.add_argument("--port", type=int, default=8000, help="0: any free one (default: %(default)s)")
parser.add_argument("--db", default="review_app.db", help="a file, made if it is missing, or for several hosts postgresql://... (default: %(default)s)")
parser.add_argument("--workers", type=int, default=1, help="processes, which share the database (default: %(default)s)")

if __name__ == "__main__":
    args = parser.parse_args()
    if "://" in args.db and not os.environ.get("REVIEW_KEY"): parser.error("a server needs REVIEW_KEY in the environment: the secret that all hosts sign cookies with")
    os.environ["REVIEW_DB"] = args.db if "://" in args.db else os.path.abspath(args.db)  # for the workers, which are processes of their own
    from . import app  # noqa: F401: makes the file and the key before several workers would
    uvicorn.run("examples.review_app.app:app", port=args.port, workers=args.workers, access_log=False)
