"""Run each notebook from top to bottom in a new kernel and save its outputs.  usage: outputs.py [--check] [NOTEBOOK ...]

Cells with "eval: false" need a PostgreSQL server: they run if DATABASE_URL names one; otherwise their outputs stay."""
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from execnb.nbio import dict2nb, write_nb
from nbclient import NotebookClient
from nbdev.clean import clean_nb

sys.path.insert(0, '.')
from conftest import copy_checkout

def outputs(notebook):
    "The outputs that a reader sees, by cell."
    return {cell.id: [o.get('text') or o.get('data') or f"{o.get('ename')}: {o.get('evalue')}" for o in cell.outputs]
            for cell in notebook.cells if cell.cell_type == 'code'}

def execute(path):
    "The notebook with new outputs."
    with TemporaryDirectory(ignore_cleanup_errors=True) as copy:
        copy_checkout(Path('.'), copy)
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if '#| eval: false' in cell.source and 'DATABASE_URL' not in os.environ: cell.metadata.tags = ['skip-execution']
        NotebookClient(notebook, timeout=300, kernel_name='python3', coalesce_streams=True, resources={'metadata': {'path': copy/path.parent}}).execute()
    fresh = dict2nb(notebook)
    clean_nb(fresh)
    return fresh

def main(args):
    check = '--check' in args
    paths = [Path(a) for a in args if a != '--check'] or [p for p in sorted(Path('nbs').rglob('[!._]*.ipynb')) if '.ipynb_checkpoints' not in p.parts]
    changed = 0
    for path in paths:
        fresh = execute(path)
        old, new = outputs(nbformat.read(path, as_version=4)), outputs(nbformat.from_dict(fresh))
        for cell in new:
            if new[cell] != old[cell]:
                changed += 1
                print(f'{path}, cell {cell}:\n  was    {old[cell]}\n  is now {new[cell]}')
        if not check: write_nb(fresh, path)
    print(f'{len(paths)} notebooks ran, {changed} outputs changed')
    if check and changed: sys.exit('run python .ci/outputs.py and commit the notebooks')

if __name__ == '__main__': main(sys.argv[1:])
