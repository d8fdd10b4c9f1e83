"""Whose folder the admin socket lies in, and who listens there. As a plain user: for root Poise's place is below /run."""
import os
import shutil
import stat
import subprocess
import sys

import pytest

from poise import BINARY
from settings import configuration, listener

IS_ROOT = os.geteuid() == 0
NOBODY = 65534
FILE = configuration([listener(forward=None, default={"fixed_response": {"status": 204}})])


class PlainUser:
    """Runs `poise` as a user without rights, whose XDG_RUNTIME_DIR is a new folder."""

    def __init__(self, start):
        self.start, self.binary = start, BINARY
        self.more = {}
        if IS_ROOT:
            # The checkout may be where only root comes.
            start.folder.chmod(0o755)
            self.binary = shutil.copy(BINARY, start.folder)
            self.more = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        self.runtime = start.folder / "run"
        self.runtime.mkdir(0o700)
        self.folder = self.runtime / "poise"
        self.own(self.runtime)
        self.environment = {"POISE_ADMIN": "", "XDG_RUNTIME_DIR": str(self.runtime)}

    def own(self, path, user=NOBODY):
        if IS_ROOT:
            os.chown(path, user, user, follow_symlinks=False)

    def run(self, wait=True):
        return self.start.poise(FILE, wait=wait, environment=self.environment, binary=self.binary, **self.more)

    def status(self, *arguments):
        return subprocess.run(
            [self.binary, "status", *map(str, arguments)], capture_output=True, text=True, timeout=30,
            env=os.environ | self.environment, cwd="/", **self.more)


@pytest.fixture
def plain(start):
    return PlainUser(start)


def a_link(plain):
    (plain.runtime / "elsewhere").mkdir(0o700)
    plain.own(plain.runtime / "elsewhere")
    plain.folder.symlink_to(plain.runtime / "elsewhere")
    plain.own(plain.folder)


def open_to_all(plain):
    plain.folder.mkdir()
    plain.own(plain.folder)
    plain.folder.chmod(0o1777)


def no_folder(plain):
    plain.folder.write_text("")


def of_another_user(plain):
    plain.folder.mkdir(0o755)
    plain.own(plain.folder, user=1)


REFUSED = [
    (a_link, "is a symbolic link"), (open_to_all, "others may write into"), (no_folder, "is no folder"),
    pytest.param(of_another_user, "belongs to the user with id 1",
                 marks=pytest.mark.skipif(not IS_ROOT, reason="only root makes folders of others")),
]


@pytest.mark.parametrize("make, problem", REFUSED)
def test_a_folder_that_somebody_else_prepared_is_not_used(plain, make, problem):
    make(plain)
    poise = plain.run(wait=False)
    assert poise.wait_exit() == 1
    plain.start.running.remove(poise)
    assert "is not safe" in poise.text() and problem in poise.text() and "help:" in poise.text().lower()
    assert not (plain.folder / "admin.sock").exists()
    asked = plain.status()
    assert asked.returncode == 5 and problem in asked.stderr and "help:" in asked.stderr


def test_a_folder_of_its_own_is_made_and_kept(plain):
    poise = plain.run()
    assert stat.S_IMODE(plain.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((plain.folder / "admin.sock").stat().st_mode) == 0o660
    assert plain.status().returncode == 0
    poise.stop()
    plain.run()
    assert plain.status().returncode == 0, "the folder that it left is its own"
    plain.folder.chmod(0o770)
    refused = plain.status()
    assert refused.returncode == 5 and "others may write into" in refused.stderr
    plain.folder.chmod(0o700)


@pytest.mark.skipif(not IS_ROOT, reason="only root starts servers of others")
@pytest.mark.parametrize("owner, trusted", [(0, False), (1, True)])
def test_the_command_line_asks_who_listens(plain, owner, trusted):
    """At a path that somebody names, the owner of the folder may listen, and no other stranger."""
    folder = plain.start.folder / "shared"
    folder.mkdir()
    os.chown(folder, owner, owner)
    folder.chmod(0o1777)
    path = folder / "admin.sock"
    server = ("import os, socket; s = socket.socket(socket.AF_UNIX); os.setuid(1); s.bind(%r); os.chmod(%r, 0o777); "
              "s.listen(); print(flush=True); c, _ = s.accept(); print(len(c.recv(1000)), flush=True)"
              % (str(path), str(path)))
    with subprocess.Popen([sys.executable, "-c", server], stdout=subprocess.PIPE) as stranger:
        try:
            stranger.stdout.readline()
            asked = plain.status("--admin", path)
            heard = int(stranger.stdout.readline())
        finally:
            stranger.kill()
    if trusted:
        assert heard > 0 and asked.returncode == 1 and "before the answer was complete" in asked.stderr
    else:
        assert heard == 0 and asked.returncode == 5
        assert "the user with id 1 listens at" in asked.stderr
