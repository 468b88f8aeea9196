"A browser, and the app in a process. Tests without a browser load neither."
import pytest

@pytest.fixture(scope='session')
def server(tmp_path_factory):
    "One app for all tests that do not stop it. Each test is another visitor."
    from helpers import Server
    server = Server(tmp_path_factory.mktemp('shared')/'review.db').start()
    yield server
    server.stop()

@pytest.fixture
def killable_server(tmp_path):
    "An app that the test may kill."
    from helpers import Server
    server = Server(tmp_path/'review.db').start()
    yield server
    server.stop()

@pytest.fixture(scope='session')
def browser():
    from helpers import CHROMIUM
    from playwright.sync_api import sync_playwright
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox', '--disable-gpu', '--disable-background-networking'])
        yield browser
        browser.close()

@pytest.fixture
def visit(browser):
    "Opens a visitor's first tab. Fails if a page loads anything from another host, shows a dialog, or has a failing script."
    contexts, problems = [], []
    def visit(server, **options):
        context = browser.new_context(**options)
        context.set_default_timeout(10_000)
        context.on('request', lambda r: r.url.startswith((server.url, 'data:')) or problems.append(r.url))
        context.on('weberror', lambda e: problems.append(str(e.error)))
        context.on('dialog', lambda d: (problems.append(f'dialog {d.type}'), d.accept()))  # Playwright accepts one silently if nobody listens
        contexts.append(context)
        return context.new_page()
    visit.problems, visit.contexts = problems, contexts
    yield visit
    for context in contexts: context.close()
    assert not problems
