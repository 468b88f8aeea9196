"Makes each test cell of each notebook under nbs/ a pytest item; the cells before it run first, as in Jupyter."
import atexit
import importlib
import re
import shutil
from tempfile import TemporaryDirectory

import pytest

EXPORTS = {'export', 'exporti', 'exports'}
TESTS = re.compile(r'\b(test_\w+\(|assert\b)')
NEEDED = 'nbs', 'benchmarks', 'examples', 'tests'  # the folders that pages read; they import the installed package

def copy_checkout(root, copy):
    "Copy what a page needs from the checkout, so that its cells leave no files there."
    shutil.copy(root/'settings.ini', copy)
    for name in NEEDED: shutil.copytree(root/name, f'{copy}/{name}', ignore=shutil.ignore_patterns('.*', '__pycache__'))

def pytest_addoption(parser):
    parser.addoption('--package', action='store_true', help="test the installed package instead of the definitions in the notebooks")

def pytest_collect_file(parent, file_path):
    if file_path.suffix == '.ipynb' and parent.config.rootpath/'nbs' in file_path.parents and not file_path.name.startswith(('.', '_')):
        return Notebook.from_parent(parent, path=file_path)

class Notebook(pytest.File):
    def collect(self):
        from nbdev.process import NBProcessor
        self.done, self.shell, self.missing = 0, None, ''
        self.cells = [c for c in NBProcessor(self.path).nb.cells
                      if c.cell_type == 'code' and (c.source.strip() or 'default_exp' in c.directives_)
                      and 'nbdev_export(' not in c.source and not {'eval:', 'notest'} & c.directives_.keys()]
        for i, c in enumerate(self.cells):
            marks = c.directives_.keys()
            if EXPORTS & marks or 'default_exp' in marks or 'show_doc(' in c.source: continue
            if 'hide' not in marks or TESTS.search(c.source): yield Cell.from_parent(self, name=c.id, i=i)

    def setup(self):
        root = self.config.rootpath
        self.copy = TemporaryDirectory(ignore_cleanup_errors=True)
        copy_checkout(root, self.copy.name)
        self.folder = self.copy.name/self.path.parent.relative_to(root)

    def teardown(self): self.copy.cleanup()

    def start(self):
        from execnb.shell import CaptureShell
        self.shell = CaptureShell(self.path)
        atexit.unregister(self.shell.atexit_operations)  # it empties the namespace, which open stores need to close themselves
        module = next((c.directives_['default_exp'][0] for c in self.cells if 'default_exp' in c.directives_), None)
        self.package = bool(module) and self.config.getoption('package')
        if self.package: self.shell.user_ns.update(vars(importlib.import_module(f'cjm_workflow_state.{module}')))

    def run_to(self, i):
        from fastcore.xtras import working_directory
        with working_directory(self.folder):
            if self.shell is None: self.start()
            while self.done <= i and not self.missing:
                c = self.cells[self.done]
                self.done += 1
                if self.package and c.directives_.keys() & EXPORTS: continue
                self.shell.run(c.source)
                error = self.shell.exc
                if isinstance(error, ModuleNotFoundError) and str(error).startswith('this page needs'): self.missing = str(error)
                elif error: raise CellError(c, error) from error
        if self.missing: pytest.skip(self.missing)

class CellError(Exception): pass

class Cell(pytest.Item):
    def __init__(self, *, i, **kw):
        super().__init__(**kw)
        self.i = i

    def runtest(self): self.parent.run_to(self.i)

    def reportinfo(self): return self.path, None, f'{self.path.stem}: cell {self.name}'

    def repr_failure(self, excinfo):
        if not isinstance(excinfo.value, CellError): return super().repr_failure(excinfo)
        c, e = excinfo.value.args
        return f'{self.path.name}, cell {c.id}:\n\n{c.source}\n\n{type(e).__name__}: {e}'
