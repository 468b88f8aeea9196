"What the processes of test_upgrade.py do; each gets where the data is, and two queues."
import traceback

import internals
from pytest import MonkeyPatch

from cjm_workflow_state.state_store import PostgresWorkflowStateStore, SQLiteWorkflowStateStore

F = 'f'
LONG = 'The tenant pays the rent on the first day of each month. ' * 60


def open_store(where, **options):
    "`where` is a path, or a conninfo and a schema."
    if isinstance(where, str): return SQLiteWorkflowStateStore(where, **options)
    return PostgresWorkflowStateStore(where[0], schema=where[1], max_size=4, **options)


def next_version(fails=False):
    "A version that no release has."
    common = ['CREATE INDEX workflow_next ON workflow_session (revision)', 'UPDATE workflow_session SET revision = revision + 100']
    if fails: common.append('INSERT INTO workflow_missing VALUES (1)')
    internals.add_schema_version(MonkeyPatch(), common, common)


def run(function, version, where, inbox, outbox):
    "Run one of the functions below as a release with this schema version, and report what it returns or raises."
    try:
        if version == 'next': next_version()
        elif version == 'failing': next_version(fails=True)
        elif version: internals.behave_like_release(version)
        outbox.put(('done', globals()[function](where, inbox, outbox)))
    except BaseException as error: outbox.put(('failed', f'{type(error).__name__}: {error}', traceback.format_exc()))


def write_sessions(where, inbox, outbox):
    "Sessions with everything that version 1 stores."
    with open_store(where) as store:
        for name in 'abc':
            store.create_session(F, name, label=f'Label {name}')
            store.set_current_step(F, name, 'review')
            store.update_state(F, name, {'n': 1, 'doc': {'cursor': 0, 'text': LONG}, 'odd': [2 ** 70, -0.0]}, undo_label='Own')
            store.update_step_state(F, name, 'review', {'n': 1}, undo_label='In review')
            store.update_step_state(F, name, 'review', {'n': 2}, undo_label='Again')
            store.undo(F, name, 'review')


def work(where, inbox, outbox):
    "Use a store until told to stop, and check what it reads."
    n = 0
    with open_store(where) as store:
        while inbox.empty():
            n += 1
            store.update_state(F, 'worker', {'n': n}, undo_label='n')
            assert store.get_state(F, 'worker') == {'n': n}
            with store.edit_step_state(F, 'worker', 's') as state: state.clear()
            if n % 3 == 0:
                made = store.create_session(F, label='x')
                store.update_step_state(F, made, 's', {'a': 1}, undo_label='a')
                assert store.undo(F, made, 's') and store.redo(F, made, 's') and store.get_step_state(F, made, 's') == {'a': 1}
                store.reset_session(F, made)
                store.delete_session(F, made)
            if n == 2: outbox.put('ready')
            if n % 7 == 0: assert store.undo(F, 'worker') and store.redo(F, 'worker')
        inbox.get()
        store.delete_session(F, 'a')
        assert store.get_state(F, 'worker') == {'n': n}
    return n


def hold(where, inbox, outbox):
    "Keep an edit block open that has created a session, until told to end it."
    with open_store(where) as store:
        with store.edit_state(F, 'held') as state:
            state['held'] = True
            outbox.put('ready')
            inbox.get()


def write_often(where, inbox, outbox):
    with open_store(where) as store:
        store.get_state(F, 'b')
        outbox.put('ready')
        inbox.get()
        for n in range(10): store.update_state(F, 'b', {'n': n})


def open_and_write(where, inbox, outbox):
    outbox.put('ready')
    me = inbox.get()
    with open_store(where) as store: store.update_state(F, 'all', {me: 1})


def just_open(where, inbox, outbox):
    outbox.put('ready')
    open_store(where).close()
