"""Loss of power at any call: of data that was not synced, the disk may hold nothing, everything or any sectors and names.

The tests record the calls of a program and build images of the disk from them."""
import random

import pytest

from cjm_workflow_state.state_store import SQLiteWorkflowStateStore as Store

from .subprocess_scripts import copied
from .clicks import HERE, Model
from .power import images, record
from .processes import check_file, is_old, old_file

def power_lost(folder, rounds, figures, expect, child, *args, prepare=lambda live: None):
    "Record a child process, then call `expect(image, marks)` for each image; it raises `Lost` or another error."
    live, built = folder/'live', folder/'images'
    for one in (live, built): one.mkdir()
    prepare(live)
    args = [str(live/arg[2:]) if str(arg).startswith('./') else arg for arg in args]
    disk, calls = record(live, folder/'trace', child, *args)
    figures |= {'calls': len(calls), 'images': 0, 'lost': 0, 'half': 0}
    first = None
    for image, marks, how in images(built, disk, calls, rounds, random.Random(7)):
        figures['images'] += 1
        try: expect(image, marks)
        except Exception as error:
            figures['lost' if isinstance(error, Lost) else 'half'] += 1
            first = first or (how, len(marks), repr(error))
    assert first is None, (first, figures)

class Lost(Exception): "An acknowledged write is missing."

def is_in(now, expected, least):
    "Check that `now` is one of the recorded states, and not older than the acknowledged one."
    found = [i for i, state in enumerate(expected) if state == now]
    assert found, f'never was a state: {str(now)[:200]}'
    if found[-1] < least: raise Lost(f'state {found[-1]} of {least}')

def goes_on(path):
    "Check that the image is a healthy store that can be written."
    with Store(path) as store:
        assert store.check() == []
        store.update_state('after', 'power', {'n': 1})
    check_file(path)

CLICKS = [3, 3, 230, 3]  # for each opening; the longer one includes checkpoints

def states_of_clicks():
    model, states = Model(), []
    for i in range(sum(CLICKS) + 1):
        states.append((model.states[model.here], model.labels[:model.here][::-1], model.labels[model.here:]))
        model = model.after(i)
    return states

def clicked(path):
    with Store(path, max_undo_depth=100_000) as store:
        history = store.get_undo_history(*HERE)
        return store.get_step_state(*HERE), [e.label for e in history.undo], [e.label for e in history.redo]

@pytest.mark.rounds(120, 2000)
@pytest.mark.parametrize('synchronous', ['FULL', 'NORMAL'])
def test_power_lost_while_clicking(tmp_path, synchronous, rounds, figures):
    "FULL keeps all acknowledged clicks with their undo, NORMAL a part from the beginning. The store has created the folders."
    states = states_of_clicks()
    def expect(image, marks):
        path = image/'new'/'deep'/'wf.db'
        is_in(clicked(path), states[:len(marks) + 2], len(marks) if synchronous == 'FULL' else 0)
        goes_on(path)
    power_lost(tmp_path, rounds, figures, expect, 'click_in_sessions_of', './new/deep/wf.db', synchronous, CLICKS)

@pytest.mark.rounds(60, 700)
def test_power_lost_while_migrating(tmp_path, rounds, figures):
    "With NORMAL too: the complete old file or the complete new one, and the new one once the store has opened."
    states, figures['files_still_old'] = {}, 0
    def expect(image, marks):
        old = is_old(image/'wf.db')
        figures['files_still_old'] += old
        if old and marks: raise Lost('the migration')
        with Store(image/'wf.db') as store:
            flows = [flow for flow in store.list_flows() if flow != 'after']
            there = [(flow, s.session_id) for flow in flows for s in store.list_sessions(flow)]
            assert {ids: store.get_state(*ids) for ids in there} == states
        goes_on(image/'wf.db')
    def prepare(live): states.update(old_file(live/'wf.db'))
    power_lost(tmp_path, rounds, figures, expect, 'migrate_and_write', './wf.db', prepare=prepare)
    assert figures['files_still_old']

@pytest.mark.rounds(80, 1000)
def test_power_lost_while_backing_up_and_restoring(tmp_path, rounds, figures):
    "The copy is the previous one or the new one; the live store is as before or equals the copy."
    live, copies = [{}], [None]
    for i in range(0, 48, 4):
        live += [copied(i), copied(i), copied(i + 2), copied(i)]
        copies += [copies[-1], *[copied(i)] * 3]
    def content(path):
        with Store(path) as store: return store.get_state('copy', 's')
    def copied_content(path):
        if not path.exists(): return None
        check_file(path)
        return content(path)
    def expect(image, marks):
        until = len(marks) + 2
        is_in(copied_content(image/'to'/'copy.db'), copies[:until], len(marks))
        is_in(content(image/'wf.db'), live[:until], len(marks))
        goes_on(image/'wf.db')
        with Store(image/'wf.db') as store: store.backup(image/'to'/'copy.db')
        assert [path.name for path in (image/'to').iterdir()] == ['copy.db']  # nothing of the interrupted backup is left
    power_lost(tmp_path, rounds, figures, expect, 'back_up_and_restore', './wf.db', './to/copy.db', 12)
