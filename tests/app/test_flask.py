"The Flask app that nbs/tutorials/web_app.ipynb prints runs as it is printed there."
import http.cookiejar
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip('flask', reason='Flask is not installed')
ROOT = Path(__file__).parents[2]

@pytest.fixture
def address(tmp_path):
    "The address of the app, which was saved and started as the page says."
    cells = json.loads((ROOT/'nbs/tutorials/web_app.ipynb').read_text(encoding='utf-8'))['cells']
    [code] = re.findall(r'```python\n(import os.*?)```', '\n'.join(''.join(c['source']) for c in cells), re.DOTALL)
    (tmp_path/'flask_app.py').write_text(code, encoding='utf-8')
    path = os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])
    process = subprocess.Popen([sys.executable, '-m', 'flask', '--app', 'flask_app', 'run', '--port', '0'], cwd=tmp_path, env={**os.environ, 'PYTHONPATH': path},
                               stderr=subprocess.PIPE, text=True)
    yield next(found[0] for line in process.stderr if (found := re.search(r'http://[\w.:]+', line)))
    process.terminate()
    process.communicate()

def visitor(address):
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    def post(path, body=None, **form):
        try: answer = browser.open(f'{address}/{path}', body or urllib.parse.urlencode(form).encode(), timeout=20)
        except urllib.error.HTTPError as error: answer = error
        return answer.status, json.loads(answer.read())
    return post

def test_the_printed_flask_app(address):
    ana, ben = visitor(address), visitor(address)
    status, session = ana('new', b'Rent is due monthly.\n\nNo pets.')
    assert status == 201 and session['revision'] == 1
    assert ana(f"{session['id']}/accept", revision=1, at='0-0') == (200, {'revision': 2, 'at': '0-1', 'done': 1})
    assert ana(f"{session['id']}/accept", revision=1, at='0-1') == (409, {'message': 'Changed in another tab. Reload.'})
    assert ana(f"{session['id']}/undo", revision=2) == (200, {'revision': 3, 'at': '0-0', 'done': 0})
    assert ben(f"{session['id']}/accept", revision=3, at='0-0')[0] == 404
    assert ana(f"{session['id']}/nothing", revision=3)[0] == 404
    for form in ({}, {'revision': ''}, {'revision': 'x'}): assert ana(f"{session['id']}/accept", at='0-0', **form)[0] == 409
    assert ana('new', b'\xff\xfe\xff')[0] == 422
