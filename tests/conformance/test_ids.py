"Flow, session and step ids."
from datetime import timedelta

import pytest

from .helpers import ARGUMENTS, METHODS, call, labels, refuses

@pytest.mark.parametrize('method', [name for name, args in ARGUMENTS.items() if 'flow_id' in args])
def test_ids_must_be_non_empty_strings(full, method):
    "`TypeError` and `ValueError` name the argument, and nothing is written."
    positional, keyword_only = METHODS[method]
    nullable = {p[0] for p in positional if not isinstance(p, str)} | keyword_only.keys()
    for name in [*(p if isinstance(p, str) else p[0] for p in positional), *keyword_only]:
        if not name.endswith('_id'): continue
        refuses(full, ValueError, name, lambda: call(full, method, **{name: ''}))
        refuses(full, ValueError, name, lambda: call(full, method, **{name: '\ud83d'}))  # half of a pair
        may_be_none = name in nullable or method == 'prune_sessions'  # `None`: every flow
        for bad in (5, b's', True, ['s'], *([] if may_be_none else [None])):
            refuses(full, TypeError, name, lambda: call(full, method, **{name: bad}))

UNUSUAL_IDS = ['a', 'A', 'a:b', 'ab', ':', '%', '_', 'a%', "'", '"', '😀', ' ', 'a ', 'é', 'e\u0301', '--', ';',
               '../x', '\n', '?', '$1', '%s', '{}', '\\', "'; DROP TABLE workflow_session; --", 'x' * 500]

def check_ids(store, odd):
    for flow in odd:
        for session in odd[:8]: store.set_current_step(flow, session, f'{flow}/{session}')
        for step in odd: store.update_step_state(flow, odd[0], step, {step: flow}, undo_label=f'To {step}')
    assert sorted(store.list_flows()) == sorted(odd)
    for flow in odd:
        assert {s.session_id: s.current_step for s in store.list_sessions(flow)} == {
            session: f'{flow}/{session}' for session in odd[:8]}
        assert store.get_state(flow, odd[0]) == {f'_step_{step}': {step: flow} for step in odd}
        for step in odd:
            assert store.get_step_state(flow, odd[0], step) == {step: flow}
            assert labels(store.get_undo_history(flow, odd[0], step).undo) == [f'To {step}']
    store.delete_session(odd[0], odd[1])
    store.prune_sessions(odd[1], timedelta(0))
    assert [store.count_sessions(flow) for flow in odd] == [7, 0, *[8] * (len(odd) - 2)]

def test_no_character_is_special_in_ids(store): check_ids(store, UNUSUAL_IDS)

def test_nul_is_not_special_in_ids(engine, store):
    if engine.supports_nul: check_ids(store, ['a', 'a\0', '\0', 'a\0b', 'a\0c', 'b', 'c', 'd', 'e'])
    else: refuses(store, ValueError, 'flow_id', lambda: store.create_session('a\0'))

def test_ids_with_colons_do_not_collide(store):
    store.update_state('a', 'b:c', {'n': 1})
    store.update_state('a:b', 'c', {'n': 2})
    assert (store.get_state('a', 'b:c'), store.get_state('a:b', 'c')) == ({'n': 1}, {'n': 2})
    assert [s.session_id for s in store.list_sessions('a')] == ['b:c']
