"Fields of `SessionSummary`, and the names, order and defaults of every parameter."
import dataclasses
import inspect

import pytest

from cjm_workflow_state.state_store import SessionSummary, WorkflowStateStore

from .helpers import KEYWORD_ONLY, METHODS

def test_session_summary_fields_and_their_order():
    assert [field.name for field in dataclasses.fields(SessionSummary)] == [
        'flow_id', 'session_id', 'label', 'current_step', 'created_at', 'updated_at', 'state_size_bytes', 'revision',
        'metadata']
    summary = SessionSummary('f', 's', None, None, '', '', 2)
    assert (summary.revision, summary.metadata, summary.cursor) == (0, {}, '')

@pytest.mark.parametrize('name', METHODS)
def test_parameter_names_order_and_defaults(store, name):
    positional, keyword_only = METHODS[name]
    found = inspect.signature(getattr(store, name)).parameters.values()
    empty, before_star = inspect.Parameter.empty, [p for p in found if p.kind != KEYWORD_ONLY]
    assert [p.name if p.default is empty else (p.name, p.default) for p in before_star] == positional
    assert {p.name: p.default for p in found if p.kind == KEYWORD_ONLY} == keyword_only

def test_every_public_method_is_covered(store):
    public = {name for name, _ in inspect.getmembers(WorkflowStateStore, inspect.isfunction) if name[0] != '_'}
    assert public == METHODS.keys() | {'close'} and isinstance(store, WorkflowStateStore)
