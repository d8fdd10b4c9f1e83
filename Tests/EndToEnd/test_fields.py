"""Connection tokens and hop-by-hop fields, Via, TE, Host, and that everything else passes untouched."""
import pytest

from client import Client, request
from deadline import Deadline


def exchange(start, fields=(), reply=(), version="1.1", **settings):
    """One request with these fields; returns (the request at the target, the response at the client)."""
    def handler(conn):
        conn.request()
        conn.respond(fields=list(reply), body=b"ok")
        conn.expect_end(Deadline(30))
    origin = start.origin(handler)
    poise = start.proxy(origin, **settings)
    with Client(poise.port) as client:
        response = client.ask(request("/", fields=fields, version=version))
    return (origin.requests[0] if origin.requests else None), response


def test_what_connection_names_goes_no_further(start):
    got, response = exchange(
        start, fields=[("Connection", "X-Private, keep-alive"), ("X-Private", "1"), ("Connection", "x-more"), ("X-More", "2"),
                       ("Keep-Alive", "timeout=5"), ("Proxy-Connection", "keep-alive"), ("X-Public", "3")],
        reply=[("Connection", "X-Secret"), ("X-Secret", "4"), ("Keep-Alive", "timeout=60"), ("X-Open", "5"),
               ("Proxy-Connection", "keep-alive")])
    for name in ("X-Private", "X-More", "Keep-Alive", "Proxy-Connection"):
        assert name not in got.fields, name
    assert got.get("X-Public") == "3"
    for name in ("X-Secret", "Proxy-Connection"):
        assert name not in response.fields, name
    assert "x-secret" not in response.fields.tokens("Connection")
    assert response.get("X-Open") == "5"


@pytest.mark.parametrize("token", [
    "Host", "host", "Content-Length", "Authorization", "X-Forwarded-For", "x-forwarded-proto", "X-Forwarded-Port",
    "close, X-Forwarded-Host", "keep-alive,Host",
])
def test_a_token_that_names_what_we_or_the_target_rely_on_is_refused(start, token):
    got, response = exchange(start, fields=[("Connection", token), ("Authorization", "Basic eDp5")])
    assert response.status == 400 and got is None


def test_via_names_us_in_the_request(start):
    got, _ = exchange(start)
    (via,) = got.fields.all("Via")
    assert via.startswith("1.1 ") and len(via.split()) >= 2


def test_via_keeps_who_was_there_before(start):
    got, _ = exchange(start, fields=[("Via", "1.0 fred"), ("Via", "1.1 p.example.net (Apache)")], version="1.0")
    via = [part.strip() for value in got.fields.all("Via") for part in value.split(",")]
    assert via[:2] == ["1.0 fred", "1.1 p.example.net (Apache)"]
    assert len(via) == 3 and via[2].startswith("1.0 "), "the version in which the client spoke"


@pytest.mark.parametrize("value, passed", [
    ("trailers", True), ("Trailers", True), ("gzip;q=0.5, trailers", True), ("deflate, trailers", True),
    ("gzip", False), ("gzip;q=0.5", False),
])
def test_of_te_only_trailers_passes(start, value, passed):
    got, _ = exchange(start, fields=[("TE", value), ("Connection", "TE")])
    assert got.fields.tokens("TE") == (["trailers"] if passed else [])
    assert ("te" in got.fields.tokens("Connection")) == passed


def test_a_target_is_promised_no_trailers_by_itself(start):
    got, _ = exchange(start)
    assert "TE" not in got.fields


def test_other_fields_pass_in_order_with_their_bytes(start):
    sent = [(b"X-Empty", b""), (b"Cookie", b"a=b; c=\"d\""), (b"X-List", b"1, 2 ,3"), (b"X-List", b"4"),
            (b"X-Latin", b"gr\xfc\xdfe"), (b"X-Tab", b"a\tb"), (b"X_Under", b"score"), (b"x'*+.^`|~", b"odd"),
            (b"Authorization", b"Bearer a.b-c_d=="), (b"Accept-Encoding", b"gzip, br"), (b"X-Long", b"v" * 5000)]
    replied = [(b"Set-Cookie", b"a=1; Path=/"), (b"Set-Cookie", b"b=2"), (b"Set-Cookie", b"c=3; Expires=Thu, 01 Jan 2026"),
               (b"Server", b"origin/1.0"), (b"ETag", b"W/\"1\""), (b"X-Latin", b"gr\xfc\xdfe"), (b"X-Long", b"w" * 9000)]
    got, response = exchange(
        start, fields=[n + b": " + v for n, v in sent], reply=[n + b": " + v for n, v in replied])

    def ours(fields, names):
        return [(n.lower(), v) for n, v in fields if n.lower() in {m.lower() for m, _ in names}]
    assert ours(got.fields, sent) == [(n.lower(), v) for n, v in sent]
    assert ours(response.fields, replied) == [(n.lower(), v) for n, v in replied]


def test_space_around_a_value_is_not_part_of_it(start):
    got, _ = exchange(start, fields=[b"X-A:v", b"X-B:   v \t ", b"X-C:\tv"])
    assert [got.get(n) for n in ("X-A", "X-B", "X-C")] == ["v", "v", "v"]
    assert b": v \t" not in got.raw, "re-serialised, not copied"


@pytest.mark.parametrize("setting, wanted", [("keep", "shop.test"), ("target", None), ("inner.shop.test", "inner.shop.test")])
def test_host_is_kept_or_the_targets_or_fixed(start, setting, wanted):
    got, _ = exchange(start, group_host_header=setting)
    if wanted:
        assert got.get("Host") == wanted
    else:
        assert got.get("Host").startswith("127.0.0.1:")


def test_a_status_phrase_passes(start):
    def handler(conn):
        conn.request()
        conn.respond(418, phrase="I'm a teapot", body=b"short and stout")
        conn.request()
        conn.send(b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n")
        conn.expect_end()
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        response = client.ask(request())
        assert (response.status, response.phrase) == (418, "I'm a teapot")
        assert client.ask(request()).status == 200
