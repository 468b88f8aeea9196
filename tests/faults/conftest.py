"How often each test repeats its scenario, and the figures that it records."
import pytest

def pytest_configure(config):
    config.addinivalue_line('markers', 'rounds(fixed, long): how often to repeat the scenario in a test run, and for report.json')

@pytest.fixture
def rounds(request):
    fixed, long = request.node.get_closest_marker('rounds').args
    return long if any(hasattr(plugin, 'long_run') for plugin in request.config.pluginmanager.get_plugins()) else fixed

@pytest.fixture
def figures(request):
    "A dict for what the test counts; report.json records it."
    request.node.figures = {}
    return request.node.figures
