"The command line: `python -m cjm_workflow_state COMMAND DATABASE`."
from .state_store import main

if __name__ == "__main__": raise SystemExit(main())
