"What has reached the disk when a call returns: the system calls, counted."
import os
import re
import shutil
import subprocess

import pytest

from .processes import Child

def syncs(folder, synchronous, writes):
    "For each write, the files that were synced before its call returned."
    if not shutil.which('strace'): pytest.skip('there is no strace to count syncs with')
    trace = folder/'trace'
    words = ['strace', '-f', '-qq', '-y', '-e', 'trace=write,fsync,fdatasync', '-o', str(trace)]
    tried = subprocess.run([*words, 'true'], capture_output=True, text=True)
    if tried.returncode: pytest.skip(f'strace is not allowed here: {tried.stderr.strip()}')
    assert Child('write_and_say', str(folder/'wf.db'), synchronous, writes, before=words).end()[-1] == f'written {writes - 1}'
    counts, seen = [], []
    for line in trace.read_text().splitlines():
        sync = re.search(r'(fsync|fdatasync)\(\d+<(.*?)>\)\s+= 0', line)
        if sync: seen.append(os.path.basename(sync[2]))
        elif 'write(' in line and '"written ' in line:
            counts.append(seen)
            seen = []
    assert len(counts) == writes + 1
    return counts[1:]  # the first is the opening

def checkpoints(counts):
    "Where the log was folded into the file, and where it begins: both take syncs of their own."
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
    "What it gives up: after a loss of power, the writes since the last checkpoint may be gone; the file is sound."
    counts = syncs(tmp_path, 'NORMAL', rounds)
    folded, begun = checkpoints(counts)
    assert [i for i, seen in enumerate(counts) if seen and i not in folded | begun] == []
    figures |= {'writes': rounds, 'without_a_sync': sum(not seen for seen in counts), 'syncs': sum(map(len, counts)), 'checkpoints': len(folded)}
