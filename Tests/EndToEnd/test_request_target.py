"""Forms of the request target, leading CRLF, Max-Forwards, CONNECT, TRACE, methods."""
import pytest

from client import Client, get, request
from generated import check_generated


@pytest.fixture(scope="module")
def usual(shared):
    origin = shared.origin()
    return shared.proxy(origin, request_id=False), origin


def arrived(usual, data, to="GET"):
    """Sends one request; returns the response and the request as the target got it (None: it did not)."""
    poise, origin = usual
    before = len(origin.requests)
    with Client(poise.port) as client:
        client.send(data)
        response = client.response(to)
    after = origin.requests[before:]
    assert len(after) <= 1
    return response, after[0] if after else None


@pytest.mark.parametrize("sent, path, host", [
    ("http://other.test/a?b=c", "/a?b=c", "other.test"),
    ("http://other.test:8080/", "/", "other.test:8080"),
    ("HTTP://other.test/", "/", "other.test"),
    ("http://other.test", "/", "other.test"),
    ("http://other.test?q=1", "/?q=1", "other.test"),
    ("http://[::1]:81/x", "/x", "[::1]:81"),
])
def test_the_authority_of_an_absolute_form_replaces_host(usual, sent, path, host):
    response, got = arrived(usual, request(sent, host="shop.test"))
    assert response.status == 200
    assert (got.target, got.get("Host")) == (path, host)


@pytest.mark.parametrize("path", [
    "/", "/a/../b", "/a/./b", "//a//b", "/a%2Fb%2e%2E/", "/a;x=1?y=2&z", "/?", "/%41",
    "/a?b?c/../d", "/~user/!$&'()*+,;=:@", "/%20", "/" + "a" * 4000,
])
def test_the_raw_path_is_forwarded(usual, path):
    response, got = arrived(usual, request(path))
    assert response.status == 200 and got.target == path


def test_asterisk_form(usual):
    response, got = arrived(usual, request("*", method="OPTIONS"), "OPTIONS")
    assert response.status == 200
    assert (got.method, got.target, got.get("Host")) == ("OPTIONS", "*", "shop.test")


def test_options_for_a_whole_server_in_absolute_form(usual):
    # RFC 9112 section 3.2.4: the last proxy sends "*" for an absolute form without path and query.
    _, got = arrived(usual, request("http://other.test", method="OPTIONS"), "OPTIONS")
    assert (got.target, got.get("Host")) == ("*", "other.test")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_asterisk_form_is_for_options_only(usual, method):
    response, got = arrived(usual, request("*", method=method))
    assert response.status == 400 and got is None


@pytest.mark.parametrize("lead", [b"\r\n", b"\r\n\r\n"])
def test_leading_crlf_is_skipped(usual, lead):
    poise, _ = usual
    with Client(poise.port) as client:
        assert client.ask(lead + request("/first"), "GET").status == 200
        assert client.ask(lead + request("/second"), "GET").status == 200


@pytest.mark.parametrize("method", ["PURGE", "M-SEARCH", "PROPFIND", "PATCH", "DELETE", "get", "X'*+.^_`|~1"])
def test_any_method_is_forwarded_as_it_is(usual, method):
    response, got = arrived(usual, request("/", method=method))
    assert response.status == 200 and got.method == method


# Max-Forwards

@pytest.mark.parametrize("target", ["/", "*"])
def test_options_with_max_forwards_0_ends_here(usual, target):
    response, got = arrived(usual, request(target, method="OPTIONS", fields=[("Max-Forwards", "0")]), "OPTIONS")
    assert response.status in (200, 204) and got is None


@pytest.mark.parametrize("sent, passed", [("5", "4"), ("1", "0"), ("010", "9")])
def test_options_counts_max_forwards_down(usual, sent, passed):
    _, got = arrived(usual, request("/", method="OPTIONS", fields=[("Max-Forwards", sent)]), "OPTIONS")
    assert got.get("Max-Forwards") == passed


def test_other_methods_keep_max_forwards(usual):
    _, got = arrived(usual, request("/", fields=[("Max-Forwards", "0")]))
    assert got.get("Max-Forwards") == "0"


# CONNECT and TRACE

def allows(response):
    return [m.strip() for m in response.get("Allow").split(",")]


@pytest.mark.parametrize("target", ["shop.test:443", "shop.test:80", "/"])
def test_connect_is_not_allowed(usual, target):
    response, got = arrived(usual, request(target, method="CONNECT"), "CONNECT")
    assert got is None and response.status in ((405,) if ":" in target else (400, 405))
    if response.status == 405:
        check_generated(response, 405)
        assert "CONNECT" not in allows(response) and "GET" in allows(response)


def test_connect_opens_no_tunnel(usual):
    poise, origin = usual
    before = len(origin.requests)
    with Client(poise.port) as client:
        client.send(request("shop.test:80", method="CONNECT") + b"\x16\x03\x01 these are not requests")
        assert client.response("CONNECT").status == 405
        client.to_end()
    assert len(origin.requests) == before


def test_trace_is_off(usual):
    response, got = arrived(usual, request("/", method="TRACE"), "TRACE")
    assert got is None
    check_generated(response, 405)
    assert "TRACE" not in allows(response)


def test_trace_where_it_is_allowed(start):
    origin = start.origin()
    poise = start.proxy(origin, trace=True)
    with Client(poise.port) as client:
        client.send(request("/a", method="TRACE", fields=[("Max-Forwards", "3")]))
        assert client.response("TRACE").status == 200
        assert origin.requests[0].get("Max-Forwards") == "2"
        client.send(request("/b", method="TRACE", fields=[("Max-Forwards", "0"), ("X-Seen", "yes"),
                                                          ("Authorization", "Basic eDp5"), ("Cookie", "a=b")]))
        response = client.response("TRACE")
        assert (response.status, response.get("Content-Type")) == (200, "message/http")
        assert response.body.startswith(b"TRACE /b HTTP/1.1\r\n") and b"X-Seen: yes" in response.body
        # RFC 9110 section 9.3.8: what is likely to be a secret is left out.
        assert b"eDp5" not in response.body and b"a=b" not in response.body
    assert len(origin.requests) == 1


def test_a_404_has_a_reason_and_keeps_the_connection(start):
    origin = start.origin()
    poise = start.proxy(origin, forward=None, rules=[{"when": {"path": ["/here"]}, "forward": "pool"}])
    with Client(poise.port) as client:
        response = client.ask(request("/there", fields=[("X-Request-Id", "probe-1")]))
        check_generated(response, 404, request_id="probe-1", reason="no_rule")
        assert client.ask(request("/here")).status == 200
    assert get(poise.port, "/there").status == 404
