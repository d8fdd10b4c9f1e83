"""Settings of TLS and HTTP/2 as the command line takes them; what they do has tests of its own."""
import subprocess

import pytest

from admin import metrics, value, verb
from client import get
from poise import BINARY
from settings import configuration, group, listener


def web(**tls):
    return configuration([listener(address="127.0.0.1:0", protocol="HTTPS", tls=tls, forward="pool")],
                         [group("pool", ["127.0.0.1:1"])])


def test_check_tells_where_a_certificate_is_missing(tmp_path):
    folder = tmp_path / "conf"
    folder.mkdir()
    (folder / "poise.yaml").write_text(web(certificates=[{"certificate": "shop.pem", "key": "/nowhere/shop.key"}]))
    # Relative to the file, whatever the folder it is named from.
    done = verb("check", "conf/poise.yaml", cwd=tmp_path)
    assert done.returncode == 3
    assert f"error: the file '{folder}/shop.pem' cannot be read: No such file or directory [unreadable]" in done.stderr
    assert "the file '/nowhere/shop.key' cannot be read" in done.stderr
    places = [line.split(" ")[0] for line in done.stderr.splitlines() if ": error:" in line]
    lines = (folder / "poise.yaml").read_text().splitlines()
    assert len(places) == 2
    for place, text in zip(places, ("shop.pem", "/nowhere/shop.key")):
        path, line, column, _ = place.split(":")
        assert path == "conf/poise.yaml" and lines[int(line) - 1][int(column) - 1:] == text


def test_check_and_config_show_take_what_needs_no_files(tmp_path):
    (tmp_path / "poise.yaml").write_text(web(certificates=["self-signed"], strict_transport={"max_age": "30d"}))
    assert verb("check", tmp_path / "poise.yaml").returncode == 0
    shown = verb("config", "show", "--effective", tmp_path / "poise.yaml").stdout
    for line in ("protocol: HTTPS", "- self-signed", "max_age: 30d", "alpn_policy: HTTP2Preferred  # default"):
        assert f" {line}" in shown, shown
    # Showing a configuration opens no certificate.
    (tmp_path / "poise.yaml").write_text(web(certificates=["shop.pem"]))
    assert f"- {tmp_path}/shop.pem" in verb("config", "show", tmp_path / "poise.yaml").stdout.replace('"', "")


def test_apply_leaves_certificates_to_the_daemon(start, tmp_path):
    poise = start.proxy(start.origin())
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    text = poise.file.read_text().replace("listeners:", "listeners:\n" + SECOND, 1)
    assert SECOND in text
    (folder / "new.yaml").write_text(text)
    refused = verb("apply", "new.yaml", poise=poise, cwd=folder)
    assert refused.returncode != 0
    # It is the daemon that looked, at what the caller's folder makes of the path.
    assert f"the file '{folder}/shop.pem' cannot be read" in refused.stderr and "new.yaml:" in refused.stderr
    assert value(metrics(poise), "poise_config_apply_failures_total") == 1
    assert get(poise.port).status == 200


SECOND = """- name: secure
  address: 127.0.0.1:0
  protocol: HTTPS
  tls: { certificates: shop.pem }
  fixed_response: { status: 200 }"""


@pytest.mark.parametrize("arguments, status, said", [
    (["--listen", "127.0.0.1:0", "--tls", "shop.pem", "--to", "127.0.0.1:1"], 3, "command line:1:28: error: the file '"),
    (["--listen", "127.0.0.1:0", "--tls", "a.pem,b.pem,c.pem", "--to", "127.0.0.1:1"], 3, "one file too many"),
    (["poise.yaml", "--tls", "self-signed"], 2, "a file and --tls"),
    (["--tls", "self-signed", "--to", "127.0.0.1:1"], 2, "nowhere to listen"),
])
def test_run_refuses(tmp_path, arguments, status, said):
    done = subprocess.run([BINARY, "run", *arguments], capture_output=True, text=True, timeout=30, cwd=tmp_path)
    assert done.returncode == status and said in done.stderr, done.stderr
