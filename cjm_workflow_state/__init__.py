"Where each person is in a multi-step app, their state, and undo, in one SQLite file or on a PostgreSQL server"
__version__ = "0.1.0"

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .history import *
    from .state_store import *

def __getattr__(name: str) -> Any:
    "Public names of `state_store` and `history`: these modules are loaded when the first of them is used."
    modules = [import_module(f"{__name__}.{module}") for module in ("state_store", "history")]
    if name == "__all__": return [public for module in modules for public in module.__all__]
    for module in modules:
        if name in module.__all__: return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

def __dir__() -> list[str]:
    return sorted({*globals(), *__getattr__("__all__")} - {"Any", "TYPE_CHECKING", "import_module"})
