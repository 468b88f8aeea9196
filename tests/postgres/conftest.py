"As often, and with figures, as tests/faults plays its scenes."
from faults.conftest import figures, pytest_configure, rounds  # noqa: F401
