"A person who clicks, undoes and redoes: the i-th call, and a model of the state after it."
import random
from copy import copy

HERE = 'clicks', 'ana', 'edit'

def call(i):
    chance = random.Random(i)
    return chance.choices(['click', 'undo', 'redo'], [6, 3, 2])[0], chance.randrange(4)

def do(store, i):
    kind, n = call(i)
    if kind == 'undo': store.undo(*HERE)
    elif kind == 'redo': store.redo(*HERE)
    else: store.update_step_state(*HERE, {f'field {n}': f'{i}' * 400, 'last': i}, remove=[f'field {(n + 1) % 4}'], undo_label=f'click {i}')

class Model:
    "All states, the labels of the clicks between them, and the current position."
    def __init__(self, calls=0):
        self.states, self.labels, self.here = [{}], [], 0
        for i in range(calls): self.do(i)

    def do(self, i):
        kind, n = call(i)
        if kind == 'undo': self.here = max(0, self.here - 1)
        elif kind == 'redo': self.here = min(len(self.labels), self.here + 1)
        else:
            state = {**self.states[self.here], f'field {n}': f'{i}' * 400, 'last': i}
            state.pop(f'field {(n + 1) % 4}', None)
            self.states, self.labels, self.here = [*self.states[:self.here + 1], state], [*self.labels[:self.here], f'click {i}'], self.here + 1

    def after(self, i):
        "A new model, one call later."
        later = copy(self)
        later.do(i)
        return later

    def same(self, store):
        history = store.get_undo_history(*HERE)
        return (store.get_step_state(*HERE) == self.states[self.here] and [e.label for e in history.undo] == self.labels[:self.here][::-1]
                and [e.label for e in history.redo] == self.labels[self.here:])
