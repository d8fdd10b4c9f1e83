"""Fixtures: `start` (processes and targets of one test) and `shared` (of one module)."""
import os
import pathlib
import shutil
import tempfile

import pytest

import http2
from deadline import SLOW
from origin import Origin, answer
from poise import BINARY, Poise
from settings import configuration, group, listener, split


def pytest_addoption(parser):
    parser.addoption("--soak", action="store_true", help="also what takes minutes")


def pytest_collection_modifyitems(config, items):
    if SLOW > 1:
        for item in items:
            own = item.get_closest_marker("timeout")
            limit = own.args[0] if own else float(config.getini("timeout"))
            item.add_marker(pytest.mark.timeout(limit * SLOW), append=False)
    if not config.getoption("--soak"):
        skip = pytest.mark.skip(reason="only with --soak")
        for item in items:
            if item.get_closest_marker("soak"):
                item.add_marker(skip)


class Starter:
    """Starts processes and origins for one test (or one module), and ends them at its end."""

    def __init__(self):
        # Short: a unix socket's path has room for 107 bytes.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="poise-"))
        self.running, self.origins = [], []

    def poise(self, text, wait=True, **more):
        assert os.access(BINARY, os.X_OK), f"{BINARY} does not exist: make build, or set POISE_BIN"
        folder = self.folder / f"poise{len(self.running)}"
        folder.mkdir()
        process = Poise(folder, text, **more)
        self.running.append(process)
        return process.wait_ready() if wait else process

    def origin(self, handler=answer, **more):
        return self._keep(Origin(handler, **more))

    def h2_origin(self, handler=http2.answer, **more):
        return self._keep(http2.Origin(handler, **more))

    def _keep(self, origin):
        self.origins.append(origin)
        return origin

    def proxy(self, *targets, **settings):
        """One listener `web` that forwards everything to one group of these origins or addresses, unless told otherwise.

        Settings of the group have `group_` in front, settings of the process `process_`.
        """
        process = {k.removeprefix("process_"): settings.pop(k) for k in list(settings) if k.startswith("process_")}
        settings, ours = split(settings)
        addresses = [t.address if isinstance(t, Origin) else t for t in targets]
        if settings.setdefault("forward", "pool") is None:
            del settings["forward"]  # rules of its own, and no default action
        return self.poise(configuration([listener(**settings)], [group("pool", addresses, **ours)], **process))

    def end(self):
        problems = []
        for process in self.running:
            try:
                process.stop()
            except AssertionError as error:
                problems.append(str(error))
            finally:
                process.kill()
        for origin in self.origins:
            origin.close()
            problems += [f"target {origin.address}: {error}" for error in origin.errors]
        shutil.rmtree(self.folder, ignore_errors=True)
        assert not problems, "\n".join(problems)


@pytest.fixture
def start():
    starter = Starter()
    yield starter
    starter.end()


@pytest.fixture(scope="module")
def shared():
    """For tables of many small cases: one process for the whole module."""
    starter = Starter()
    yield starter
    starter.end()


def pytest_make_parametrize_id(config, val, argname):
    """Long values by their length: the name of a test is also an environment variable while it runs."""
    if isinstance(val, (bytes, str)) and len(val) > 60:
        return f"{argname} of {len(val)}"
    return None
