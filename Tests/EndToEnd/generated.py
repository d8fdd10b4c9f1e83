"""What every answer that Poise makes itself has in common."""
import email.utils
import json
import re
import time


def check_generated(response, status, request_id=None, reason=None, head=False):
    """`status` is one status or several; `request_id` is what the client sent, `reason` the code it must name."""
    statuses = (status,) if isinstance(status, int) else status
    assert response.status in statuses, f"{response.status} {response.phrase}: {response.body!r}"
    assert response.get("Cache-Control") == "no-store"
    date = email.utils.parsedate_to_datetime(response.get("Date"))
    assert response.get("Date").endswith(" GMT") and abs(date.timestamp() - time.time()) < 5
    assert not response.until_close, "its length is told"
    if head:
        return response
    kind = response.get("Content-Type")
    if kind.startswith("application/json"):
        document = json.loads(response.body)
        words = [str(v) for v in walk(document)]
    else:
        assert kind.startswith("text/plain")
        words = re.findall(r"[^\s:,()\"']+", response.text)
    assert any(re.fullmatch(r"[a-z]+(_[a-z0-9]+)*", word) for word in words), f"no reason code in {response.text!r}"
    if reason:
        assert reason in words, f"no {reason} in {response.text!r}"
    if request_id:
        assert request_id in words, f"no request id {request_id} in {response.text!r}"
    assert len(response.body) < 1024
    return response


def walk(node):
    if isinstance(node, dict):
        for value in node.values():
            yield from walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value)
    else:
        yield node
