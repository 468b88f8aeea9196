"The engines that tests run on, and a PostgreSQL server for the tests that need one."
import os
from contextlib import closing

import pytest

from cjm_workflow_state.state_store import PostgresWorkflowStateStore
from engines import make_engine
from postgres.server import PostgresServer, external_server, missing_requirement


def pytest_runtest_setup(item):
    "Skip tests that need PostgreSQL if it is missing, with the reason; with `REQUIRE_POSTGRES=1`, fail them."
    on_postgres = getattr(item, 'callspec', None) and item.callspec.params.get('engine') == 'postgres'
    if not on_postgres and not {'postgres', 'own_server'} & {*item.fixturenames}: return
    reason = missing_requirement(programs_too='own_server' in item.fixturenames or not external_server())
    if reason: (pytest.fail if os.environ.get('REQUIRE_POSTGRES') == '1' else pytest.skip)(reason)


@pytest.fixture(scope='session')
def postgres():
    "A server that all tests share; each store uses its own schema."
    server = external_server()
    if server: yield server
    else:
        with PostgresServer() as server: yield server


@pytest.fixture
def own_server():
    "A server that the test may stop and kill; acknowledged commits survive that."
    with PostgresServer(fsync=True) as server: yield server


@pytest.fixture
def own_store(own_server):
    with PostgresWorkflowStateStore(own_server.conninfo, timeout=5) as store: yield store


@pytest.fixture(params=['file', 'postgres'])
def engine(request):
    with closing(make_engine(request.param, request)) as engine: yield engine
