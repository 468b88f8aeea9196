"What undo stores: limits and times that only a look into the tables can prove."

F, S = 'f', 's'

def labels(store): return [entry.label for entry in store.get_undo_history(F, S).undo]

def test_max_undo_bytes_keeps_entries_of_exactly_that_size(engine):
    def write(name, **options):
        store = engine.open(name, **options)
        for n in range(3): store.update_state(F, S, {'n': n, 'text': 'x' * n}, undo_label=f'{n}')
        return labels(store)
    assert write('unlimited') == ['2', '1', '0']
    [[total]] = engine.execute('SELECT sum(size) FROM workflow_undo', 'unlimited')
    assert write('exact', max_undo_bytes=int(total)) == ['2', '1', '0']
    assert write('smaller', max_undo_bytes=int(total) - 1) == ['2', '1']

def test_an_entry_of_a_group_has_the_label_and_time_of_its_last_write(engine):
    store = engine.open()
    store.update_state(F, S, {'note': 'T'}, undo_label='Type T', undo_group='note')
    engine.execute('UPDATE workflow_undo SET created = created - 3600000000')  # an hour ago, in microseconds
    before = store.get_undo_history(F, S).undo[0].created_at
    store.update_state(F, S, {'note': 'Th'}, undo_label='Type Th', undo_group='note')
    [entry] = store.get_undo_history(F, S).undo
    assert entry.label == 'Type Th'
    assert before < entry.created_at == store.get_session_summary(F, S).updated_at
