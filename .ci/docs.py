"""Build the documentation site into _docs without Quarto, and check its links and its sidebar.

usage: docs.py             build and check
       docs.py --finish    only fold the exported source of the pages in _docs, which nbdev_docs has built with Quarto"""
import html
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

# Fixes for the HTML of smalldocs: a pattern and its replacement.
FIXES = [
    (r'<nav class="navbar', '<nav aria-label="Site" class="navbar'),
    (r'<i class="bi bi-github" role="img">', '<i class="bi bi-github" aria-hidden="true">'),
    (r'<nav id="quarto-sidebar"', '<nav aria-label="Pages" id="quarto-sidebar"'),
    (r'<div class="toc-actions"', '<div role="navigation" aria-label="Repository" class="toc-actions"'),
    # a link without an address cannot be reached with the keyboard
    (r'data-bs-target="(#quarto-sidebar-section-\d+)" role="navigation"', r'data-bs-target="\1" href="\1" role="button"'),
]
FOLD = re.compile(r'<details [^>]*class="code-fold">(.*?)</details>', re.S)
HIGHLIGHTING = re.compile(r'<span\b[^>]*>|</span>|<a href="#cb[^>]*></a>')

def fold_source(text):
    "Close the folds of exported source, and drop its highlighting, which is most of the bytes and nodes of a page."
    return FOLD.sub(lambda fold: f'<details class="code-fold">{HIGHLIGHTING.sub("", fold[1])}</details>', text)

def finish(page, out, home):
    "Add what Quarto has and smalldocs does not, and make links to the public site relative."
    path = page.relative_to(out)
    up, address = '../' * (len(path.parts) - 1), home + path.as_posix().removesuffix('index.html')
    text = page.read_text(encoding='utf-8').replace(f'href="{home}', f'href="{up}')
    for pattern, new in FIXES: text = re.sub(pattern, new, text)
    return fold_source(text).replace('</head>', f'<link rel="canonical" href="{address}"></head>', 1)

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
    for theme in (out/'site_libs'/'themes').glob('*.css'):  # fonts.scss keeps web fonts out of Quarto's build
        text = re.sub(r'@import url\(https://fonts\.googleapis\.com/[^)]*\);', '', theme.read_text(encoding='utf-8'))
        theme.write_text(text, encoding='utf-8')
    shutil.rmtree(cfg.doc_path, ignore_errors=True)
    shutil.copytree(out, cfg.doc_path)
    return Path(cfg.doc_path).resolve()

class Page(HTMLParser):
    "The links and ids of a page."

    def __init__(self, text):
        super().__init__()
        self.links, self.ids = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids |= {attrs[k] for k in ('id', 'name') if attrs.get(k)}
        self.links += [attrs[k] for k in ('href', 'src') if attrs.get(k)]

def broken_links(site):
    pages = {path: Page(path.read_text(encoding='utf-8')) for path in site.rglob('*.html')}
    for path, page in pages.items():
        for link in page.links:
            if re.match(r'[a-z]+:|//', link): continue
            target, anchor = urldefrag(link)
            file = (path.parent/unquote(target)).resolve() if target else path
            if file.is_dir(): file /= 'index.html'
            if not file.exists(): yield f'{path.relative_to(site)}: {link}: no such file'
            elif anchor and file in pages and unquote(anchor) not in pages[file].ids: yield f'{path.relative_to(site)}: {link}: no such anchor'

def empty_headers(site):
    "Tables with an empty header cell, which a screen reader cannot announce."
    for path in site.rglob('*.html'):
        for header in re.findall(r'<th\b[^>]*>(.*?)</th>', path.read_text(encoding='utf-8'), re.S):
            if not html.unescape(re.sub(r'<[^>]+>', '', header)).strip(): yield f'{path.relative_to(site)}: empty table header'

def sidebar_errors(nbs):
    "Pages that the sidebar does not list, and entries without a page."
    pages = {p.relative_to(nbs).as_posix() for kind in ('ipynb', 'qmd') for p in nbs.rglob(f'[!._]*.{kind}') if '.ipynb_checkpoints' not in p.parts}
    listed = set(re.findall(r'[\w/-]+\.(?:ipynb|qmd)', (nbs/'sidebar.yml').read_text(encoding='utf-8')))
    return [f'sidebar.yml: {name}: not listed' for name in pages - listed] + [f'sidebar.yml: {name}: no such page' for name in listed - pages]

def main(args):
    from nbdev.config import get_config
    cfg = get_config()
    if '--finish' in args:
        for page in Path(cfg.doc_path).rglob('*.html'): page.write_text(fold_source(page.read_text(encoding='utf-8')), encoding='utf-8')
        return
    site = build(cfg)
    errors = sorted({*broken_links(site), *empty_headers(site), *sidebar_errors(cfg.nbs_path)})
    print('\n'.join(errors) or f"{len(list(site.rglob('*.html')))} pages in {site.name}, no errors")
    sys.exit(bool(errors))

if __name__ == '__main__': main(sys.argv[1:])
