"""Answers that Poise makes itself: reasons, formats, redirects, fixed and sorry responses."""
import json

import pytest

from client import Client, get, request
from generated import check_generated, walk
from origin import dead_port
from settings import configuration, group, listener


def ruled(start, rules=None, default=None, groups=(), **settings):
    """A listener with these rules and nothing else."""
    if rules is not None:
        settings["rules"] = rules
    if default is not None:
        settings["default"] = default
    return start.poise(configuration([listener(**settings)], groups))


NOWHERE = [{"when": {"path": ["/only-here"]}, "fixed_response": {"status": 200, "body": "here"}}]


def test_plain_text_is_the_default(start):
    poise = ruled(start, NOWHERE)
    response = get(poise.port, fields=[("X-Request-Id", "probe-6")])
    check_generated(response, 404, request_id="probe-6", reason="no_rule")
    assert response.get("Content-Type").startswith("text/plain")


def test_json_by_option(start):
    poise = ruled(start, NOWHERE, error_format="json")
    response = get(poise.port, fields=[("X-Request-Id", 'probe-7')])
    check_generated(response, 404, request_id="probe-7", reason="no_rule")
    assert response.get("Content-Type").startswith("application/json")
    assert 404 in list(walk(json.loads(response.body)))


def test_json_stays_json_whatever_a_trusted_peer_calls_its_request(start):
    poise = ruled(start, NOWHERE, error_format="json", trusted=["127.0.0.0/8"])
    response = get(poise.port, fields=[("X-Request-Id", 'a"b\\c')])
    assert json.loads(response.body)["request_id"] == 'a"b\\c'


def test_a_request_id_is_made_for_an_answer_of_our_own_too(start):
    poise = ruled(start, NOWHERE)
    first, second = get(poise.port).text, get(poise.port).text
    assert first != second, "two requests, two identifiers"


@pytest.mark.parametrize("error_format", ["text", "json"])
def test_a_request_id_cannot_write_into_the_answer(start, error_format):
    poise = ruled(start, NOWHERE, error_format=error_format)
    response = get(poise.port, fields=[("X-Request-Id", '"><script>alert(1)</script>')])
    check_generated(response, 404)
    assert "<script>" not in response.text


def test_nothing_of_the_request_is_echoed(start):
    poise = ruled(start, NOWHERE)
    response = get(poise.port, "/<script>alert(1)</script>".replace("<", "%3C").replace(">", "%3E") + "?marker=xyzzy",
                   fields=[("X-Marker", "xyzzy")])
    assert response.status == 404 and "xyzzy" not in response.text


def test_head_gets_no_body(start):
    poise = ruled(start, NOWHERE)
    with Client(poise.port) as client:
        response = client.ask(request("/", method="HEAD"))
        check_generated(response, 404, head=True)
        assert client.ask(request("/only-here")).text == "here"


def test_a_fixed_response(start):
    poise = ruled(start, NOWHERE, default={"fixed_response": {
        "status": 418, "content_type": "application/json", "body": '{"tea": true}'}})
    with Client(poise.port) as client:
        response = client.ask(request())
        assert (response.status, response.get("Content-Type"), response.body) == (
            418, "application/json", b'{"tea": true}')
        assert "Date" in response.fields
        head = client.ask(request("/", method="HEAD"))
        assert (head.status, head.get("Content-Length")) == (418, "13")
        assert client.ask(request("/only-here")).text == "here"


def test_a_fixed_response_reads_the_body_it_does_not_want(start):
    poise = ruled(start, default={"fixed_response": {"status": 200, "body": "fine"}})
    with Client(poise.port) as client:
        client.send(request("/", method="POST", body=b"GET /x HTTP/1.1\r\n\r\n" * 100) + request("/next"))
        first = client.response()
        assert first.text == "fine"
        if "close" in first.fields.tokens("Connection"):
            assert client.expect_end() == "fin"
        else:
            assert client.response().text == "fine"
            client.expect_silence(0.1)


@pytest.mark.parametrize("redirect, status, location", [
    ({"host": "new.test", "status": 301}, 301, "http://new.test:{port}/a%20b/c?x=1&y"),
    ({"host": "new.test", "port": "80"}, 302, "http://new.test/a%20b/c?x=1&y"),
    ({"scheme": "https", "port": "443", "status": 308}, 308, "https://shop.test/a%20b/c?x=1&y"),
    ({"path": "/moved/#{path}", "query": ""}, 302, "http://shop.test:{port}/moved/a%20b/c"),
    ({"path": "/", "query": "old=1&#{query}"}, 302, "http://shop.test:{port}/?old=1&x=1&y"),
])
def test_a_redirect(start, redirect, status, location):
    poise = ruled(start, default={"redirect": redirect})
    with Client(poise.port) as client:
        response = client.ask(request("/a%20b/c?x=1&y", host=f"shop.test:{poise.port}"))
        assert response.status == status
        seen = response.get("Location")
        assert seen.replace(":443/", "/").replace(":80/", "/") == location.format(port=poise.port)


@pytest.mark.parametrize("framing, pieces", [
    (("Content-Length", "8"), [b"GET ", b"/x H"]),
    (("Transfer-Encoding", "chunked"), [b"4\r\nGE", b"T \r\n", b"0\r\nX-Sum: 1\r\n", b"\r\n"]),
])
def test_a_small_body_that_is_still_to_come_is_waited_for(start, framing, pieces):
    poise = ruled(start, NOWHERE, head="5s")
    with Client(poise.port) as client:
        client.send(request("/", method="POST", fields=[framing]))
        assert client.response("POST").status == 404
        for piece in pieces:
            client.expect_silence(0.05)
            client.send(piece)
        assert client.ask(request("/only-here")).text == "here"


@pytest.mark.parametrize("framing", [("Content-Length", "8"), ("Transfer-Encoding", "chunked")])
def test_a_small_body_that_does_not_come_is_not_waited_for_long(start, framing):
    poise = ruled(start, NOWHERE, head="300ms")
    with Client(poise.port) as client:
        client.send(request("/", method="POST", fields=[framing]))
        assert client.response("POST").status == 404
        assert client.expect_end() == "fin"


@pytest.mark.parametrize("fields", [[("Content-Length", "100000")], [("Content-Length", "8"), ("Expect", "100-continue")]])
def test_a_body_that_is_large_or_may_never_come_ends_the_connection(start, fields):
    poise = ruled(start, NOWHERE)
    with Client(poise.port) as client:
        client.send(request("/", method="POST", fields=fields))
        response = client.response("POST")
        assert response.status == 404 and "close" in response.fields.tokens("Connection")
        assert client.expect_end() == "fin"


def test_faulty_chunks_that_nobody_wants_end_the_connection(start):
    poise = ruled(start, NOWHERE)
    with Client(poise.port) as client:
        client.send(request("/", method="POST", fields=[("Transfer-Encoding", "chunked")]) + b"+4\r\n"
                    + request("/only-here"))
        assert client.response("POST").status == 404
        assert client.to_end() == b""


def test_answers_that_nobody_reads_wait_for_their_reader(start):
    """Blocked in the first reading, straight after accept: the connection waits for its reader, and goes on."""
    body = "x" * 60_000
    poise = ruled(start, default={"fixed_response": {"status": 200, "body": body}}, connections=1)
    first = Client(poise.port)
    assert first.ask(request()).status == 200
    with Client(poise.port, receive_buffer=65536) as client:
        client.send(request() * 200)  # 12 MB of answers, all asked for before the connection is accepted
        client.expect_silence(0.1)
        first.close()
        for _ in range(200):
            assert client.response().text == body


@pytest.mark.parametrize("path, status", [("/a%0d%0aSet-Cookie:%20x=y", 400), ("/a?b%0d%0aSet-Cookie:%20x=y", 302)])
def test_a_redirect_writes_no_field_of_its_own(start, path, status):
    poise = ruled(start, default={"redirect": {"path": "/moved/#{path}", "host": "#{host}", "query": "#{query}"}})
    with Client(poise.port) as client:
        response = client.ask(request(path))
        assert response.status == status and "Set-Cookie" not in response.fields


@pytest.mark.parametrize("times, status", [(3, 302), (60, 414)])
def test_a_redirect_that_grows_beyond_measure_is_refused(start, times, status):
    poise = ruled(start, default={"redirect": {"path": "/moved/" + "#{path}" * times}})
    with Client(poise.port) as client:
        response = client.ask(request("/" + "a" * 8000))
        assert response.status == status
        if status == 302:
            assert response.get("Location").endswith("/moved/" + "a" * 8000 * times)
        # Nobody else pays for it.
        assert client.ask(request("/b")).status == 302


def test_a_sorry_response_when_nobody_is_left(start):
    kept, port = dead_port()
    groups = [group("pool", [f"127.0.0.1:{port}"], sorry={"status": 503, "body": "closed today"}, fail_open="never",
                    health_check={"interval": "200ms", "timeout": "100ms", "unhealthy": 1})]
    poise = start.poise(configuration([listener(forward="pool")], groups))
    for _ in range(200):
        response = get(poise.port)
        if response.text == "closed today":
            break
        assert response.status in (502, 503)
    else:
        pytest.fail("the target is never found out")
    kept.close()


def test_groups_without_weight_are_503(start):
    origin = start.origin()
    groups = [group("a", [origin.address]), group("b", [origin.address])]
    poise = ruled(start, default={"forward": {"groups": {"a": 0, "b": 0}}}, groups=groups)
    check_generated(get(poise.port), 503, reason="no_weight")
    assert origin.connections == []


def test_groups_by_weight(start):
    one, two = start.origin(), start.origin()
    groups = [group("a", [one.address]), group("b", [two.address])]
    poise = ruled(start, default={"forward": {"groups": {"a": 90, "b": 10}}}, groups=groups)
    with Client(poise.port) as client:
        for _ in range(400):
            assert client.ask(request()).status == 200
    assert len(one.requests) + len(two.requests) == 400
    # Exact turns or chance: 40 expected, six standard deviations either way.
    assert 4 <= len(two.requests) <= 76
