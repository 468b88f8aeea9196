"Run every notebook from top to bottom in a fresh kernel. --check: fail if an output differs; else save the outputs."
import sys
from pathlib import Path

import nbformat
from nbconvert.preprocessors import ExecutePreprocessor
from nbdev.clean import clean_nb
from execnb.nbio import dict2nb

def outputs(notebook):
    "What a reader sees, cell by cell."
    shown = {}
    for cell in notebook.cells:
        if cell.cell_type != 'code': continue
        shown[cell.id] = [o.get('text') or o.get('data') or f"{o.get('ename')}: {o.get('evalue')}" for o in cell.outputs]
    return shown

def run(path, check):
    notebook = nbformat.read(path, as_version=4)
    old = outputs(notebook)
    before = set(path.parent.iterdir())
    try: ExecutePreprocessor(timeout=300, kernel_name='python3').preprocess(notebook, {'metadata': {'path': str(path.parent)}})
    finally:
        for file in set(path.parent.iterdir()) - before: file.unlink()
    cleaned = dict2nb(notebook)
    clean_nb(cleaned)
    new = outputs(nbformat.from_dict(cleaned))
    changed = [id for id in new if new[id] != old.get(id)]
    if not check:
        from execnb.nbio import write_nb
        write_nb(cleaned, path)
    return [f'{path}: cell {id}: {old.get(id)} became {new[id]}' for id in changed]

def main(args):
    check = '--check' in args
    paths = [Path(a) for a in args if a != '--check'] or sorted(Path('nbs').rglob('[!._]*.ipynb'))
    changed = [line for path in paths if '.ipynb_checkpoints' not in path.parts for line in run(path, check)]
    print('\n'.join(changed) or f'{len(paths)} notebooks ran, their outputs are the same')
    if check and changed: sys.exit(1)

if __name__ == '__main__': main(sys.argv[1:])
