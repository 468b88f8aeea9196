"The fixtures `rounds` and `figures` of tests/faults."
from faults.conftest import figures, pytest_configure, rounds  # noqa: F401
