"How much has reached the disk when a call returns: the system calls are counted."
import os
import re
import shutil
import subprocess

import pytest

from .processes import Child

def syncs(folder, synchronous, writes):
    "For each write, the files that were synced before it returned."
    if not shutil.which('strace'): pytest.skip('strace is not installed, which counts the syncs')
    trace = folder/'trace'
    words = ['strace', '-f', '-qq', '-y', '-e', 'trace=write,fsync,fdatasync', '-o', str(trace)]
    tried = subprocess.run([*words, 'true'], capture_output=True, text=True)
    if tried.returncode: pytest.skip(f'this machine does not allow strace: {tried.stderr.strip()}')
    assert Child('write_and_say', str(folder/'wf.db'), synchronous, writes, before=words).end()[-1] == f'written {writes - 1}'
    counts, seen = [], []
    for line in trace.read_text().splitlines():
        sync = re.search(r'(fsync|fdatasync)\(\d+<(.*?)>\)\s+= 0', line)
        if sync: seen.append(os.path.basename(sync[2]))
        elif 'write(' in line and '"written ' in line:
            counts.append(seen)
            seen = []
    assert len(counts) == writes + 1
    return counts[1:]  # the first item belongs to opening the store

def checkpoints(counts):
    "The writes that move the log into the file or start a new log: both need more syncs."
    folded = {i for i, seen in enumerate(counts) if 'wf.db' in seen}
    return folded, {0} | {i + 1 for i in folded}

@pytest.mark.rounds(100, 2000)
def test_full_syncs_each_write_once(tmp_path, rounds, figures):
    counts = syncs(tmp_path, 'FULL', rounds)
    folded, begun = checkpoints(counts)
    assert [i for i, seen in enumerate(counts) if 'wf.db-wal' not in seen] == []
    assert [i for i, seen in enumerate(counts) if seen != ['wf.db-wal'] and i not in folded | begun] == []
    figures |= {'writes': rounds, 'without_a_sync': 0, 'syncs': sum(map(len, counts)), 'checkpoints': len(folded)}

@pytest.mark.rounds(100, 2000)
def test_normal_syncs_at_checkpoints_only(tmp_path, rounds, figures):
    "The price: after a loss of power, writes since the last checkpoint may be lost, but the file is not damaged."
    counts = syncs(tmp_path, 'NORMAL', rounds)
    folded, begun = checkpoints(counts)
    assert [i for i, seen in enumerate(counts) if seen and i not in folded | begun] == []
    figures |= {'writes': rounds, 'without_a_sync': sum(not seen for seen in counts), 'syncs': sum(map(len, counts)), 'checkpoints': len(folded)}
