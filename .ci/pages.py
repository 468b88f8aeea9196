"""Check the built site in a browser: light, dark and as wide as a phone.  usage: pages.py [--pictures] [PAGE ...]

Run docs.py first. axe-core must find no problem that is moderate or worse, no page may be wider than the screen, and no
page may load anything from another host. Screenshots go to artefacts/."""
import shutil
import sys
from pathlib import Path

SITE = Path('_docs').resolve()
LOOKS = {'light': (1280, 'light'), 'dark': (1280, 'dark'), 'phone': (390, 'light'), 'phone-dark': (390, 'dark')}

def faults(tab, axe, width):
    for found in axe.run(tab).response['violations']:
        if found['impact'] != 'minor':
            for node in found['nodes']:
                yield f"{found['impact']}: {found['id']}: {node['html'][:120]!r}: {' '.join(node['failureSummary'].split())}"
    wide = tab.evaluate('document.documentElement.scrollWidth')
    if wide > width: yield f'{wide} pixels wide on a screen of {width}'

def main(args):
    pictures, names = '--pictures' in args, [a for a in args if a != '--pictures']
    chromium = shutil.which('chromium')
    if not chromium: sys.exit(print('skip: there is no Chromium on this machine'))
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright
    paths, count = [SITE/f'{name}.html' for name in names] or sorted(SITE.rglob('*.html')), 0
    if not paths: sys.exit('no page in _docs: run python .ci/docs.py first')
    Path('artefacts').mkdir(exist_ok=True)
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=['--no-sandbox', '--allow-file-access-from-files'])
        for path in paths:
            name = path.relative_to(SITE).with_suffix('').as_posix()
            for look, (width, scheme) in LOOKS.items():
                tab = browser.new_page(viewport={'width': width, 'height': 900}, color_scheme=scheme)
                asked = []
                tab.on('request', lambda request: asked.append(request.url))
                tab.goto(path.as_uri())
                elsewhere = [f'loads {url}' for url in asked if url.startswith('http')]
                for fault in [*faults(tab, Axe(), width), *elsewhere]:
                    count += 1
                    print(f'{name}, {look}: {fault}')
                if pictures: tab.screenshot(path=f"artefacts/{name.replace('/', '-')}-{look}.png", full_page=True)
                tab.close()
        browser.close()
    print(f'{len(paths)} pages in {len(LOOKS)} looks, {count} faults')
    sys.exit(count > 0)

if __name__ == '__main__': main(sys.argv[1:])
