"README.md from the processed index notebook.  usage: readme.py [--check]"
import json
import re
import sys

import yaml

def source(o): return ''.join(o) if isinstance(o, list) else o

def fence(text, lang=''):
    ticks = '`' * max(3, 1 + max((len(m) for m in re.findall('`+', text)), default=0))
    return f'{ticks} {lang}'.rstrip() + f'\n{text.rstrip()}\n{ticks}'

def indent(text): return '\n'.join('    ' + line if line.strip() else '' for line in text.rstrip().splitlines())

def directives(text):
    return dict(re.findall(r'^#\|\s*([\w-]+):\s*(.*)$', text, re.M)), re.sub(r'^#\|.*\n?', '', text, flags=re.M)

def output(o):
    if o['output_type'] == 'stream': return indent(source(o['text']))
    if o['output_type'] == 'error': return indent(f"{o['ename']}: {o['evalue']}")
    data = o.get('data', {})
    for kind in ('text/markdown', 'text/html'):
        if kind in data: return source(data[kind]).strip()
    return indent(source(data.get('text/plain', '')))

def callouts(text):
    "GitHub's own alerts in place of Quarto's callouts."
    def alert(m): return '\n'.join(f'> {line}'.rstrip() for line in [f'[!{m[1].upper()}]', '', *m[2].strip().splitlines()])
    return re.sub(r'^:{3,} *\{\.callout-(note|tip|warning|important|caution)[^}]*\}\n(.*?)\n:{3,}$', alert, text, flags=re.M | re.S)

def links(text, home):
    "Pages of the site and pictures, as seen from GitHub and from the package index."
    text = re.sub(r'\]\((?!https?:|#)([\w/-]+)\.(?:ipynb|qmd|html)(#[\w.-]+)?\)', lambda m: f']({home}/{m[1]}.html{m[2] or ""})', text)
    return re.sub(r'\]\((images/[\w.-]+)\)', r'](nbs/\1)', text)

def render(notebook, home):
    parts = []
    for i, cell in enumerate(notebook['cells']):
        text = source(cell['source'])
        if cell['cell_type'] == 'raw' and i == 0:
            page = yaml.safe_load(text.strip().strip('-'))
            parts.append(f"# {page['title']}\n\n> {page['description']}")
        elif cell['cell_type'] == 'markdown': parts.append(links(callouts(text.strip()), home))
        elif cell['cell_type'] == 'code':
            marks, code = directives(text)
            if marks.get('include') == 'false': continue
            if marks.get('echo') != 'false' and code.strip(): parts.append(fence(code, 'python'))
            if marks.get('output') != 'false': parts += [output(o) for o in cell.get('outputs', [])]
    return '\n\n'.join(p for p in parts if p).rstrip() + '\n'

def main(args):
    from nbdev.config import get_config
    cfg = get_config()
    readme = cfg.config_path/'README.md'
    from nbdev.serve import proc_nbs
    cache = proc_nbs(n_workers=0, force=True)
    new = render(json.loads((cache/cfg.readme_nb).read_text(encoding='utf-8')), cfg.doc_host + cfg.doc_baseurl)
    if '--check' not in args: readme.write_text(new, encoding='utf-8')
    elif not readme.exists() or readme.read_text(encoding='utf-8') != new:
        sys.exit('README.md is out of date: run python .ci/readme.py and commit it')
    else: print('README.md is what nbs/index.ipynb renders to')

if __name__ == '__main__': main(sys.argv[1:])
