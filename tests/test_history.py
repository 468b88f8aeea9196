"Any sequence of undo and redo on any history restores what was there and changes no argument; what counts as a changed field."
import pytest
from hypothesis import given, strategies as st

from cjm_workflow_state.history import Field, Order, changed_fields, pop_history, push_history, redo_history, undo_history

snapshots = st.lists(st.integers(), max_size=8)
steps = st.integers(1, 10)
depths = st.integers(0, 10)

@given(snapshots, snapshots, st.integers(), steps)
def test_undo_then_redo_gives_back_what_was_there(history, redo, current, steps):
    undone = undo_history(history, redo, current, steps)
    assert (undone is None) == (steps > len(history))
    if undone:
        restored, rest, ahead = undone
        assert redo_history(rest, ahead, restored, steps) == (current, history, redo)

@given(snapshots, snapshots, st.integers(), steps)
def test_redo_then_undo_gives_back_what_was_there(history, redo, current, steps):
    redone = redo_history(history, redo, current, steps)
    assert (redone is None) == (steps > len(redo))
    if redone:
        restored, behind, rest = redone
        assert undo_history(behind, rest, restored, steps) == (current, history, redo)

@given(snapshots, snapshots, st.integers(), steps)
def test_several_steps_at_once_equal_single_steps(history, redo, current, steps):
    for move in (undo_history, redo_history):
        one_by_one = (current, history, redo)
        for _ in range(steps):
            if one_by_one: one_by_one = move(one_by_one[1], one_by_one[2], one_by_one[0])
        assert move(history, redo, current, steps) == one_by_one

@given(snapshots, st.integers(), depths)
def test_push_keeps_the_newest(history, snapshot, depth):
    pushed = push_history(history, snapshot, depth)
    assert len(pushed) == min(depth, len(history) + 1)
    assert pushed == [*history, snapshot][len(history) + 1 - len(pushed):]
    if depth: assert pop_history(pushed) == (snapshot, pushed[:-1])

@given(snapshots, snapshots, st.integers(), steps, depths)
def test_redo_keeps_the_newest(history, redo, current, steps, depth):
    whole, limited = redo_history(history, redo, current, steps), redo_history(history, redo, current, steps, depth)
    assert (whole is None) == (limited is None)
    if whole and limited:
        behind = whole[1]
        assert limited == (whole[0], behind[max(0, len(behind) - depth):], whole[2])

@given(snapshots, snapshots, st.integers(), steps, depths)
def test_arguments_are_never_changed(history, redo, current, steps, depth):
    before = list(history), list(redo)
    for result in (push_history(history, current, depth), pop_history(history),
                   undo_history(history, redo, current, steps), redo_history(history, redo, current, steps, depth)):
        for part in (result if isinstance(result, tuple) else [result]):
            if isinstance(part, list): part.append(object())  # results belong to the caller
    assert (history, redo) == before

@given(st.lists(st.one_of(st.tuples(st.just('do'), st.integers()), st.tuples(st.sampled_from(['undo', 'redo']), steps)), max_size=30))
def test_any_sequence_of_actions(actions):
    "The model is a list of all states and a position in it."
    states, here = [None], 0
    history, redo, current = [], [], None
    for action, n in actions:
        if action == 'do':
            states, here = [*states[:here + 1], n], here + 1
            history, redo, current = push_history(history, current), [], n
        else:
            there = here - n if action == 'undo' else here + n
            moved = (undo_history if action == 'undo' else redo_history)(history, redo, current, n)
            assert (moved is not None) == (0 <= there < len(states))
            if moved:
                here = there
                current, history, redo = moved
        assert (history, current, redo[::-1]) == (states[:here], states[here], states[here + 1:])

NAN = float('nan')

@pytest.mark.parametrize('before, after', [
    (0.0, -0.0), ([0.0], [-0.0]), ([{'x': 0.0}], [{'x': -0.0}]), (1, 1.0), (1, True), (0, False),
    ([{'x': 1, 'y': 2}], [{'y': 2, 'x': 1}])])
def test_values_with_different_json_are_changes(before, after):
    "`==` calls each pair equal, but their JSON texts differ."
    assert before == after
    assert list(changed_fields({'a': before}, {'a': after})) == [('a',)]
    assert list(changed_fields({'a': {'b': {'c': before}}}, {'a': {'b': {'c': after}}})) == [('a', 'b', 'c')]

@pytest.mark.parametrize('before, after', [
    (NAN, float('nan')), ([NAN], [float('nan')]), ([{'x': NAN}], [{'x': float('nan')}]), (-0.0, -0.0)])
def test_values_with_equal_json_are_no_change(before, after):
    "`==` says that NaN differs from itself, but its JSON text stays the same."
    assert changed_fields({'a': before}, {'a': after}) == {}

def test_the_order_of_keys_is_a_change_of_its_own():
    inside = {'a': {'b': {'c': {'x': 1, 'y': 2}}}}, {'a': {'b': {'c': {'y': 2, 'x': 1}}}}
    above = {'a': {'x': 1, 'y': 2}}, {'a': {'y': 2, 'x': 1}}
    assert list(changed_fields(*inside)) == [('a', 'b', 'c')]
    assert changed_fields(*above) == {('a',): Field(Order('xy'), Order('yx'))}
