"How often each test repeats its scene, and the figures that it gives."
import pytest

def pytest_configure(config):
    config.addinivalue_line('markers', 'rounds(fixed, long): how often to play the scene, in each test run and for report.json')

@pytest.fixture
def rounds(request):
    fixed, long = request.node.get_closest_marker('rounds').args
    return long if any(hasattr(plugin, 'long_run') for plugin in request.config.pluginmanager.get_plugins()) else fixed

@pytest.fixture
def figures(request):
    "What the test counted; it lands in report.json."
    request.node.figures = {}
    return request.node.figures
