"On which stores the contract is tested."
from contextlib import closing
from importlib import import_module

import pytest
from engines import Engine, make_engine


def pytest_addoption(parser):
    parser.addoption('--store', metavar='MODULE:FACTORY', help='test these stores in place of this package\'s own: '
                     'FACTORY(name, **options) opens one; those of one name share their data')


def pytest_configure(config):
    config.addinivalue_line('markers', 'shared: needs several stores on the same data, which ":memory:" has not')


def pytest_generate_tests(metafunc):
    if 'engine' not in metafunc.fixturenames: return
    theirs = metafunc.config.getoption('--store')
    memory = [] if metafunc.definition.get_closest_marker('shared') else ['memory']
    metafunc.parametrize('engine', [theirs] if theirs else [*memory, 'file', 'postgres'], indirect=True)


class Theirs(Engine):
    def __init__(self, factory):
        super().__init__()
        module, _, name = factory.partition(':')
        self.make = getattr(import_module(module), name)


names = iter(range(10 ** 9))


@pytest.fixture
def engine(request):
    kind = request.param
    with closing(Theirs(kind) if ':' in kind else make_engine(kind, request)) as engine: yield engine


@pytest.fixture
def place():
    "A name that no other test of this run has."
    return f'wf{next(names)}'


@pytest.fixture
def open_store(engine, place):
    "Opens one more store on the data of this test."
    return lambda **options: engine.open(place, **options)


@pytest.fixture
def store(open_store): return open_store()
