"Record what a program does to a folder, call by call, and build what the disk may hold after a loss of power."
import os
import shutil
import struct
import subprocess
from pathlib import Path
from tempfile import mkdtemp

import pytest

from .processes import Child

SECTOR = 512  # bytes that a disk writes as a unit
HEAD = struct.Struct('=QqIc')
_shim = []

def shim():
    "Path of the compiled shim.c; skips the test if it can't be compiled or loaded."
    if not _shim:
        compiler, path = shutil.which('cc') or shutil.which('gcc'), Path(mkdtemp())/'shim.so'
        if not os.path.isdir('/proc/self/fd'): _shim.append('there is no /proc, so the shim cannot tell which file a call is about')
        elif not compiler: _shim.append('there is no C compiler for the shim')
        else:
            source = str(Path(__file__).with_name('shim.c'))
            words = [compiler, '-shared', '-fPIC', '-O1', '-o', str(path), source, '-ldl']
            built = subprocess.run(words, capture_output=True, text=True)
            _shim.append(f'the shim does not compile here: {built.stderr[-300:]}' if built.returncode else path)
    if isinstance(_shim[0], str): pytest.skip(_shim[0])
    return _shim[0]

def under_shim(folder, trace=None):
    "The start of a command line that loads the shim between a program and the C library."
    return ['env', f'LD_PRELOAD={shim()}', f'SHIM_FOLDER={folder}', *([f'SHIM_TRACE={trace}'] if trace else [])]

class File:
    def __init__(self, content=b''): self.now, self.durable, self.waiting = bytearray(content), bytes(content), []

    def do(self, change):
        apply(self.now, *change[1:])
        self.waiting.append(change)

    def sync(self): self.durable, self.waiting = bytes(self.now), []

class Folder:
    def __init__(self): self.now, self.durable, self.waiting = {}, {}, []

    def do(self, change):
        self.now.update(change[1])
        self.waiting.append(change)

    def sync(self): self.durable, self.waiting = dict(self.now), []

def apply(content, offset, data):
    "Apply a write, or a truncation if `data` is `None`."
    if data is None: del content[offset:]
    if len(content) < offset: content.extend(bytes(offset - len(content)))
    if data is not None: content[offset:offset + len(data)] = data

def sectors(offset, data):
    "The pieces of a write: a disk writes each of them completely or not at all."
    at = 0
    while at < len(data):
        size = SECTOR - (offset + at) % SECTOR
        yield offset + at, data[at:at + size]
        at += size

class Disk:
    "The files of a folder while a program runs: what is durable, and what waits for a sync."
    def __init__(self, folder):
        self.folder, self.nodes, self.count, self.marks = str(folder), {}, 0, []
        self.root = self.read(folder)

    def read(self, path):
        "Load the files that exist before; all of them are durable."
        if os.path.isdir(path):
            node = Folder()
            for name in os.listdir(path): node.now[name] = self.read(os.path.join(path, name))
            node.sync()
        else: node = File(Path(path).read_bytes())
        self.nodes[os.stat(path).st_ino] = node
        return node

    def parent(self, path):
        node, (*folders, name) = self.root, os.path.relpath(path, self.folder).split(os.sep)
        for folder in folders: node = node.now[folder]
        return node, name

    def play(self, kind, inode, offset, data):
        self.count += 1
        if kind == b'm': self.marks += data.decode().splitlines()
        elif kind == b'w': self.nodes[inode].do((self.count, offset, data))
        elif kind == b't': self.nodes[inode].do((self.count, offset, None))
        elif kind == b's': self.nodes[inode].sync()
        else:
            paths = [part.decode() for part in data.split(b'\0') if part]
            parent, name = self.parent(paths[0])
            if kind in b'cd':
                if kind == b'c' and parent.now.get(name): return  # it existed before
                self.nodes[inode] = File() if kind == b'c' else Folder()
                parent.do((self.count, {name: self.nodes[inode]}))
            elif kind == b'u': parent.do((self.count, {name: None}))
            else:
                other, target = self.parent(paths[1])
                assert parent is other, 'a rename between folders changes two of them'
                parent.do((self.count, {**({name: None} if kind == b'n' else {}), target: parent.now[name]}))

    def image(self, dest, chance):
        "Create in `dest` what may be left if the power is lost now."
        hows = ['nothing', 'all', 'prefix', 'subset', 'torn']
        names, data = chance.choice(hows[:4]), chance.choice(hows)
        until, share = self.count - chance.choice([3, 10, 50, 1000]) * chance.random(), chance.choice([.1, .5, .9])
        def kept(how, change):
            if how == 'prefix': return change[0] <= until
            return how == 'all' or how in ('subset', 'torn') and chance.random() < share
        def build(node, path):
            if isinstance(node, Folder):
                there = dict(node.durable)
                for change in node.waiting:
                    if kept(names, change): there.update(change[1])
                os.makedirs(path, exist_ok=True)
                for name, inner in there.items():  # the index of the log is shared memory, which is lost
                    if inner and not name.endswith('-shm'): build(inner, os.path.join(path, name))
            else:
                content = bytearray(node.durable)
                for number, offset, written in node.waiting:
                    whole = data != 'torn' or written is None
                    for piece in [(offset, written)] if whole else sectors(offset, written):
                        if kept(data, (number,)): apply(content, *piece)
                Path(path).write_bytes(content)
        build(self.root, str(dest))
        return f'names: {names}, data: {data}, after call {self.count}'

def record(folder, trace, child, *args):
    "The calls of a child process in `folder`, and the disk as it was before them."
    disk = Disk(folder)
    done = Child(child, *args, before=under_shim(folder, trace))
    said = done.end()
    content, at, calls = Path(trace).read_bytes(), 0, []
    while at < len(content):
        inode, offset, length, kind = HEAD.unpack_from(content, at)
        at += HEAD.size + length
        calls.append((kind, inode, offset, content[at - length:at]))
    kinds = {kind for kind, *_ in calls}
    assert {b'w', b's', b'm'} <= kinds and said, 'the shim recorded no call'
    return disk, calls

def images(folder, disk, calls, count, chance):
    "Losses of power, spread over the calls: for each, a new folder, the marks before it, and how it was built."
    places = sorted(chance.choices(range(len(calls) + 1), k=count))
    done = 0
    for i, place in enumerate(places):
        for call in calls[done:place]: disk.play(*call)
        done = place
        dest = Path(folder)/f'{i}'
        how = disk.image(dest, chance)
        yield dest, list(disk.marks), how
        shutil.rmtree(dest)
