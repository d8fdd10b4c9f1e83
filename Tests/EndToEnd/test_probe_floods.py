"""Targets that answer a probe without end: control goes on with everybody else."""
import json
import subprocess
import sys
import time

import pytest

from admin import verb
from deadline import eventually

# A process of its own, which does nothing but send.
STREAM = r"""
import os, socket
bytes_ = b"HTTP/1.1 103 E\r\n\r\n" * 400000
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    connection, _ = listener.accept()
    if os.fork() == 0:
        listener.close()
        try:
            connection.recv(4096)
            while True:
                connection.sendall(bytes_)
        except OSError:
            os._exit(0)
    connection.close()
"""


@pytest.fixture
def flood():
    children = []

    def make(program):
        children.append(subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE))
        return int(children[-1].stdout.readline())
    yield make
    for child in children:
        child.kill()
        child.wait()


def test_a_target_that_never_stops_keeps_nobody_waiting(start, flood):
    good, port = start.origin(), flood(STREAM)
    times = {"interval": "500ms", "edge_interval": "500ms", "timeout": "300ms"}
    poise = start.poise(json.dumps({
        "listeners": [{"name": n, "address": "127.0.0.1:0", "forward": n} for n in ("good", "bad")],
        "target_groups": [
            {"name": "good", "targets": [good.address], "health_check": {"path": "/h"} | times},
            {"name": "bad", "targets": [f"127.0.0.1:{port}"], "health_check": {"path": "/"} | times},
        ]}))
    eventually("the flood is unhealthy", lambda: "unhealthy" in verb(
        "status", f"127.0.0.1:{port}", poise=poise).stdout)
    slowest, until, before = 0, time.monotonic() + 4, len(good.requests)
    while time.monotonic() < until:
        begun = time.monotonic()
        assert verb("status", poise=poise).returncode == 0
        slowest = max(slowest, time.monotonic() - begun)
        time.sleep(0.1)
    # Eight are due; a loaded machine may be late with some.
    assert len(good.requests) - before >= 4
    assert slowest < 2
