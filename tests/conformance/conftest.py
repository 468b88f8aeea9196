"The stores that the conformance suite tests."
from contextlib import closing
from importlib import import_module

import pytest
from engines import Engine, make_engine

pytest.register_assert_rewrite('conformance.helpers')

from conformance.helpers import LONG, F, S  # noqa: E402


def pytest_addoption(parser):
    parser.addoption('--store', metavar='MODULE:FACTORY', help='test these stores instead of those of this package: '
                     'FACTORY(name, **options) opens a store; stores of one name share their data')


def pytest_configure(config):
    config.addinivalue_line('markers', 'shared: needs several stores on the same data, which ":memory:" does not offer')
    config.addinivalue_line('markers', 'processes: needs several processes on the same data')


def pytest_generate_tests(metafunc):
    if 'engine' not in metafunc.fixturenames: return
    external = metafunc.config.getoption('--store')
    marks = {mark.name for mark in metafunc.definition.iter_markers()}
    memory = [] if marks & {'shared', 'processes'} else ['memory']
    third = [] if 'processes' in marks else ['third']
    metafunc.parametrize('engine', [external] if external else [*memory, 'file', *third, 'postgres'], indirect=True)


class ExternalStores(Engine):
    "Stores of another package, which a function named MODULE:FACTORY opens."
    def __init__(self, factory):
        super().__init__()
        module, _, name = factory.partition(':')
        self.new_store = getattr(import_module(module), name)


numbers = iter(range(10 ** 9))


@pytest.fixture
def engine(request):
    kind = request.param
    with closing(ExternalStores(kind) if ':' in kind else make_engine(kind, request)) as engine: yield engine


@pytest.fixture
def data_name():
    "A name that no other test of this run uses."
    return f'wf{next(numbers)}'


@pytest.fixture
def open_store(engine, data_name):
    "Opens one more store on the data of this test."
    return lambda **options: engine.open(data_name, **options)


@pytest.fixture
def store(open_store): return open_store()


@pytest.fixture
def full(store):
    "A store with a session that has a label, a current step, own keys, a step, and undo and redo entries."
    store.create_session(F, S, label='Lease')
    store.set_current_step(F, S, 'a')
    store.update_state(F, S, {'n': 1, 'doc': {'cursor': 0, 'text': LONG}}, undo_label='Own')
    store.update_step_state(F, S, 'a', {'n': 1}, undo_label='In a')
    store.update_state(F, S, {'m': 1}, undo_label='More')
    store.undo(F, S)
    return store
