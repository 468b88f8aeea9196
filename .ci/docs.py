"Build the site from the notebooks without Quarto, into _docs; check that each notebook is in the sidebar, and that each internal link works."
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

# Where the HTML of smalldocs differs from that of Quarto: its text, and the replacement.
EXCHANGES = [
    (r'<details open="" class="code-fold">', '<details class="code-fold">'),  # exported source is folded
    (r'<nav class="navbar', '<nav aria-label="Site" class="navbar'),
    (r'<i class="bi bi-github" role="img">', '<i class="bi bi-github" aria-hidden="true">'),
    (r'<nav id="quarto-sidebar"', '<nav aria-label="Pages" id="quarto-sidebar"'),
    (r'<div class="toc-actions"', '<div role="navigation" aria-label="Repository" class="toc-actions"'),
    # the keyboard can't reach a link without an address
    (r'data-bs-target="(#quarto-sidebar-section-\d+)" role="navigation"', r'data-bs-target="\1" href="\1" role="button"'),
]

def finish(page, out, home):
    "Add what the public site has and smalldocs does not write; turn links to the public site into relative links."
    path = page.relative_to(out)
    up, address = '../' * (len(path.parts) - 1), home + path.as_posix().removesuffix('index.html')
    text = page.read_text(encoding='utf-8').replace(f'href="{home}', f'href="{up}')
    for pattern, new in EXCHANGES: text = re.sub(pattern, new, text)
    return text.replace('</head>', f'<link rel="canonical" href="{address}"></head>', 1)

def build(cfg):
    from nbdev.quarto import refresh_quarto_yml
    from nbdev.serve import proc_nbs
    from smalldocs.site import build
    refresh_quarto_yml()
    cache = proc_nbs(n_workers=0, force=True)
    for name in ('nbdev.yml', 'sidebar.yml', 'styles.css'): shutil.copy(cfg.nbs_path/name, cache/name)
    settings = (cfg.nbs_path/'_quarto.yml').read_text(encoding='utf-8')
    (cache/'_quarto.yml').write_text(settings.replace(', fonts.scss', ''), encoding='utf-8')  # smalldocs does not support Sass
    out = Path(build(cache).out)
    shutil.copytree(cfg.nbs_path/'images', out/'images', dirs_exist_ok=True)
    home = cfg.doc_host + cfg.doc_baseurl + '/'
    for page in out.rglob('*.html'): page.write_text(finish(page, out, home), encoding='utf-8')
    for theme in (out/'site_libs'/'themes').glob('*.css'):  # no fonts from other hosts, as in fonts.scss
        text = re.sub(r'@import url\(https://fonts\.googleapis\.com/[^)]*\);', '', theme.read_text(encoding='utf-8'))
        theme.write_text(text, encoding='utf-8')
    shutil.rmtree(cfg.doc_path, ignore_errors=True)
    shutil.copytree(out, cfg.doc_path)
    return Path(cfg.doc_path).resolve()

class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.links, self.ids = [], set()
        self.feed(text)
    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids |= {attrs[k] for k in ('id', 'name') if attrs.get(k)}
        self.links += [attrs[k] for k in ('href', 'src') if attrs.get(k)]

def broken(site):
    pages = {path: Page(path.read_text(encoding='utf-8')) for path in site.rglob('*.html')}
    for path, page in pages.items():
        for link in page.links:
            if re.match(r'[a-z]+:|//', link): continue
            target, anchor = urldefrag(link)
            file = (path.parent/unquote(target)).resolve() if target else path
            if file.is_dir(): file /= 'index.html'
            if not file.exists(): yield f'{path.relative_to(site)}: {link}: no such file'
            elif anchor and file in pages and unquote(anchor) not in pages[file].ids: yield f'{path.relative_to(site)}: {link}: no such anchor'

def unlisted(nbs):
    "Notebooks that are missing in the sidebar, and entries without a notebook."
    there = {p.relative_to(nbs).as_posix() for p in nbs.rglob('[!._]*.ipynb') if '.ipynb_checkpoints' not in p.parts}
    listed = set(re.findall(r'[\w/-]+\.ipynb', (nbs/'sidebar.yml').read_text(encoding='utf-8')))
    return [f'sidebar.yml: {name}: not listed' for name in there - listed] + [f'sidebar.yml: {name}: no such notebook' for name in listed - there]

if __name__ == '__main__':
    from nbdev.config import get_config
    cfg = get_config()
    site = build(cfg)
    bad = sorted({*broken(site), *unlisted(cfg.nbs_path)})
    print('\n'.join(bad) or f"{len(list(site.rglob('*.html')))} pages in {site.name}, no broken link")
    sys.exit(bool(bad))
