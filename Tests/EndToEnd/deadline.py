"""Deadlines of the tests: generous, because only a failing test waits for one."""
import os
import threading
import time

# Sanitized binaries are several times slower.
SLOW = float(os.environ.get("POISE_SLOW", "1"))
# Seconds in which anything that is going to happen has happened.
PATIENCE = 5.0 * SLOW


class Deadline:
    """A point in time, and what is left until it."""

    def __init__(self, seconds=None):
        self.at = time.monotonic() + (PATIENCE if seconds is None else seconds)

    def left(self):
        return max(0.0, self.at - time.monotonic())

    def passed(self):
        return self.left() == 0.0


def eventually(what, condition, seconds=None):
    """Waits until `condition()` is true and returns its value. For states that nothing announces (memory, files)."""
    deadline = Deadline(seconds)
    while True:
        value = condition()
        if value:
            return value
        assert not deadline.passed(), f"not within the deadline: {what}"
        time.sleep(0.01)


class Progress:
    """A count that one thread drives, and that another waits on until it stops moving."""

    def __init__(self):
        self.count = 0
        self.moved = threading.Condition()

    def add(self, count):
        with self.moved:
            self.count += count
            self.moved.notify_all()

    def reach(self, count, seconds=None):
        with self.moved:
            assert self.moved.wait_for(lambda: self.count >= count, Deadline(seconds).left()), (
                f"stuck at {self.count}, expected {count}")

    def settle(self, quiet=0.4):
        """Waits until nothing has moved for `quiet` seconds; returns the count."""
        with self.moved:
            while True:
                before = self.count
                if not self.moved.wait_for(lambda: self.count != before, quiet * SLOW):
                    return before
