"A browser, and the app to look at. All of it is loaded by the tests that use it, as the others run without."
import pytest

@pytest.fixture(scope='session')
def server(tmp_path_factory):
    "One for all tests that leave it alone: each of them is another visitor."
    from pages import Server
    server = Server(tmp_path_factory.mktemp('shared')/'review.db').start()
    yield server
    server.stop()

@pytest.fixture
def own_server(tmp_path):
    from pages import Server
    server = Server(tmp_path/'review.db').start()
    yield server
    server.stop()

@pytest.fixture(scope='session')
def browser():
    from pages import CHROMIUM
    from playwright.sync_api import sync_playwright
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox', '--disable-gpu', '--disable-background-networking'])
        yield browser
        browser.close()

@pytest.fixture
def visit(browser):
    "A visitor's first tab. Nothing may be asked of any other host or of the reader, and no script may fail."
    contexts, wrong = [], []
    def visit(server, **options):
        context = browser.new_context(**options)
        context.set_default_timeout(10_000)
        context.on('request', lambda r: r.url.startswith((server.url, 'data:')) or wrong.append(r.url))
        context.on('weberror', lambda e: wrong.append(str(e.error)))
        context.on('dialog', lambda d: (wrong.append(f'dialog {d.type}'), d.accept()))  # Playwright accepts one silently if nobody listens
        contexts.append(context)
        return context.new_page()
    visit.wrong, visit.contexts = wrong, contexts
    yield visit
    for context in contexts: context.close()
    assert not wrong
