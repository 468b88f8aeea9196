"Where each person is in a multi-step app, their state, and undo, in one SQLite file or on a PostgreSQL server"
__version__ = "0.1.0"

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .history import *
    from .state_store import *

def __getattr__(name: str) -> Any:
    "Names of `state_store` and `history`: these are loaded when one is asked for."
    for module in map(import_module, (f"{__name__}.state_store", f"{__name__}.history")):
        if name in module.__all__: return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
