"""Check the site in _docs in a browser: in light and in dark mode, at 200 %, and on a phone.  usage: pages.py [--pictures] [PAGE ...]

Build the site with docs.py first. It is an error if axe-core finds an accessibility problem, if a page is wider than the screen,
or if a page requests anything from another host. The size of the three heaviest pages is printed. With --pictures, screenshots go to artefacts/."""
import shutil
import sys
from pathlib import Path

SITE = Path('_docs').resolve()
MODES = {'light': (1280, 'light'), 'dark': (1280, 'dark'), '200': (640, 'light'), 'phone': (390, 'light'), 'phone-dark': (390, 'dark')}
NODES = 'document.querySelectorAll("*").length'
FIRST_PAINT = 'performance.getEntriesByName("first-contentful-paint")[0]?.startTime'

def errors(tab, axe, width, requests):
    for violation in axe.run(tab).response['violations']:
        for node in violation['nodes']:
            yield f"{violation['impact']}: {violation['id']}: {node['html'][:120]!r}: {' '.join(node['failureSummary'].split())}"
    page_width = tab.evaluate('document.documentElement.scrollWidth')
    if page_width > width: yield f'the page is {page_width} px wide on a screen of {width} px'
    for url in requests:
        if url.startswith('http'): yield f'the page requests {url}'

def sizes(browser, paths):
    for path in sorted(paths, key=lambda path: path.stat().st_size)[:-4:-1]:
        tab = browser.new_page()
        tab.goto(path.as_uri())
        tab.wait_for_function(FIRST_PAINT)
        yield f'{path.stem}: {path.stat().st_size:,} bytes, {tab.evaluate(NODES):,} nodes, first paint after {tab.evaluate(FIRST_PAINT):.0f} ms'
        tab.close()

def main(args):
    pictures, names = '--pictures' in args, [a for a in args if a != '--pictures']
    chromium = shutil.which('chromium')
    if not chromium: sys.exit(print('skip: Chromium is not installed'))
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright
    paths, count = [SITE/f'{name}.html' for name in names] or sorted(SITE.rglob('*.html')), 0
    if not paths: sys.exit('_docs has no pages: run python .ci/docs.py first')
    Path('artefacts').mkdir(exist_ok=True)
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=['--no-sandbox', '--allow-file-access-from-files'])
        for path in paths:
            name = path.relative_to(SITE).with_suffix('').as_posix()
            for mode, (width, scheme) in MODES.items():
                tab = browser.new_page(viewport={'width': width, 'height': 900}, color_scheme=scheme)
                requests = []
                tab.on('request', lambda request: requests.append(request.url))
                tab.goto(path.as_uri())
                for error in errors(tab, Axe(), width, requests):
                    count += 1
                    print(f'{name}, {mode}: {error}')
                if pictures: tab.screenshot(path=f"artefacts/{name.replace('/', '-')}-{mode}.png", full_page=True)
                tab.close()
        print('\n'.join(sizes(browser, paths)))
        browser.close()
    print(f'{len(paths)} pages in {len(MODES)} modes, {count} errors')
    sys.exit(count > 0)

if __name__ == '__main__': main(sys.argv[1:])
