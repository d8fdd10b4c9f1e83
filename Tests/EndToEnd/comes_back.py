"""A target under a check: well, gone, well again; what Poise says of it, and that a hook hears of each change once."""
import sys

from admin import metrics, value
from deadline import eventually
from hooks import Program
from real import free_port
from test_tls_health import becomes

FAST = {"interval": "300ms", "edge_interval": "100ms", "timeout": "300ms", "healthy": 1, "unhealthy": 2}
EVENTS = ["target_down", "target_up", "group_down", "group_up"]


class Address:
    """What `becomes` asks of a target."""

    def __init__(self, port, host="127.0.0.1"):
        self.address, self.port = f"{host}:{port}", port


def goes_and_comes_back(start, server, good, bad="Connection refused", reason="connection_refused", settings=None,
                        host="127.0.0.1", **check):
    """`server` is a context manager in which the target at a port is well; `settings` are of `start.proxy`."""
    address = Address(free_port(), host)
    check = {key: setting for key, setting in (FAST | check).items() if setting is not None}
    program = Program(start.folder, sys.executable)
    hook = {"name": "page", "on": EVENTS, "command": [str(program.path)]}
    with server(address.port):
        poise = start.proxy(address.address, group_health_check=check, process_notify=[hook], **settings or {})
        assert good in becomes(poise, address, "healthy")
    assert bad in becomes(poise, address, "unhealthy", reason)
    poise.wait_line(lambda line: f"target={address.address}" in line and "to=unhealthy" in line
                    and f"reason={reason}" in line and bad in line, reason)
    with server(address.port):
        assert good in becomes(poise, address, "healthy")
        eventually("four were told", lambda: value(metrics(poise), "poise_notify_delivered_total", hook="page") == 4)
    down, group_down, up, group_up = program.runs()
    assert [run["POISE_EVENT"] for run in (down, group_down, up, group_up)] == [
        "target_down", "group_down", "target_up", "group_up"]
    assert down["POISE_TARGET"] == up["POISE_TARGET"] == address.address
    assert (down["POISE_STATE"], up["POISE_STATE"]) == ("unhealthy", "healthy")
    assert down["POISE_REASON"] == reason and bad in down["POISE_EVIDENCE"] and good in up["POISE_EVIDENCE"]
    return poise, address
