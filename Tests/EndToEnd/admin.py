"""The admin socket of a running Poise: its API, its metrics, and the command line that uses it."""
import http.client
import os
import re
import socket
import subprocess

from deadline import PATIENCE
from poise import BINARY


class AdminConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("poise", timeout=PATIENCE)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def admin(poise, method, target, body=None, connection=None, **fields):
    """(status, fields, body) of one request to the admin socket, over an open connection or one of its own."""
    if not (kept := connection):
        connection = AdminConnection(poise.admin)
    try:
        connection.request(method, target, body=body, headers=fields)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        if not kept:
            connection.close()


def verb(*arguments, poise=None, cwd=None, **environment):
    """Runs `poise VERB …` to its end."""
    more = {"POISE_ADMIN": str(poise.admin)} if poise else {}
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE * 2,
                          cwd=cwd, env=os.environ | more | environment)


SAMPLE = re.compile(r'^([a-z_][a-z0-9_]*)(?:\{(.*)\})? (\S+)$')


def metrics(poise, connection=None):
    """{(name, labels): value}, labels as a frozenset of pairs."""
    status, fields, body = admin(poise, "GET", "/metrics", connection=connection)
    assert status == 200 and fields["Content-Type"].startswith("text/plain; version=0.0.4")
    found = {}
    for line in body.decode().splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = SAMPLE.match(line).groups()
        pairs = frozenset(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels or ""))
        assert (name, pairs) not in found, f"twice: {line}"
        found[name, pairs] = float(value)
    return found


def value(samples, name, **labels):
    """The sum of all samples that have at least these labels."""
    wanted = set(labels.items())
    return sum(v for (n, pairs), v in samples.items() if n == name and wanted <= pairs)
