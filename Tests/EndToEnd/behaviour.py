"""Targets whose behaviour a test changes while they answer, and the requests that find out."""
import json
import threading

from admin import admin, metrics
from client import Client, request
from deadline import Deadline, eventually

# Weights move by steps of a second.
STEPS = 45


class Behaviour:
    """How a target answers: `start.origin(behaviour)`."""

    def __init__(self, delay=0.0, errors=0, fields=()):
        # Seconds; how many of ten answers are 500; fields of answers.
        self.delay, self.errors, self.fields = delay, errors, fields
        self._count, self._lock = 0, threading.Lock()

    def __call__(self, conn):
        while True:
            asked = conn.request(Deadline(600))
            with self._lock:
                self._count += 1
                is_error = self._count % 10 < self.errors
            if self.delay:
                threading.Event().wait(self.delay)
            conn.respond(500 if is_error else 200, fields=self.fields, body=b"" if asked.method == "HEAD" else b"x")


class Load:
    """One request after the other over one connection, until the end of the block."""

    def __init__(self, poise):
        self.poise, self.problem = poise, None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        assert self.problem is None, self.problem

    def _run(self):
        try:
            with Client(self.poise.port) as client:
                while not self._stop.is_set():
                    client.ask(request("/"))
        except Exception as error:  # told where the block ends
            self.problem = error


def targets_of(poise):
    """{address: what status says}"""
    status, _, body = admin(poise, "GET", "/status")
    assert status == 200
    return {t["address"]: t for g in json.loads(body)["target_groups"] for t in g["targets"]}


def gauge(poise, name, origin):
    return next(v for (family, pairs), v in metrics(poise).items()
                if family == name and dict(pairs)["target"] == origin.address)


def factor(poise, origin):
    return gauge(poise, "poise_target_weight_factor", origin)


def until(what, condition):
    return eventually(what, condition, seconds=STEPS)


def shares(origins, client, count):
    """Of `count` requests, those that each target got, and the answers."""
    before = [len(o.requests) for o in origins]
    answers = [client.ask(request("/")) for _ in range(count)]
    return [len(o.requests) - b for o, b in zip(origins, before)], answers
