"Pictures of the built site for people to look at: light, dark and on a phone.  usage: screenshots.py [PAGE ...]     after docs.py; into artefacts/"
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

PAGES = ['index', 'state_store', 'tutorials/undo']
LOOKS = {'light': (1280, 'light'), 'dark': (1280, 'dark'), 'phone': (390, 'light'), 'phone-dark': (390, 'dark')}

def main(pages):
    out = Path('artefacts')
    out.mkdir(exist_ok=True)
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which('chromium'), args=['--no-sandbox', '--allow-file-access-from-files'])
        for page in pages:
            for look, (width, scheme) in LOOKS.items():
                tab = browser.new_page(viewport={'width': width, 'height': 900}, color_scheme=scheme)
                tab.goto((Path('_docs')/f'{page}.html').resolve().as_uri())
                tab.screenshot(path=out/f"{page.replace('/', '-')}-{look}.png", full_page=True)
                wide = tab.evaluate('document.documentElement.scrollWidth')
                if wide > width: print(f'{page}, {look}: {wide} wide on a screen of {width}')
                tab.close()
        browser.close()

if __name__ == '__main__': main(sys.argv[1:] or PAGES)
