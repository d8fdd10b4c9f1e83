"""Settings of TLS and HTTP/2 as the command line takes them; what they do has tests of its own."""
import re
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
    checked = verb("check", tmp_path / "poise.yaml")
    assert checked.returncode == 0 and "HTTPS (intermediate, HTTP2Preferred), 1 certificate, " in checked.stdout
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


def issue(folder, name, key="rsa:2048", days=90, san=True, options=()):
    """A certificate of its own making with its key: NAME.pem and NAME.key."""
    names = ["-addext", f"subjectAltName=DNS:{name}.test,DNS:*.{name}.test"] if san else []
    kind = ["-newkey", key] if key.startswith("rsa") else ["-newkey", "ec", "-pkeyopt", f"ec_paramgen_curve:{key}"]
    subprocess.run(["openssl", "req", "-x509", *kind, "-nodes", "-keyout", folder / f"{name}.key", "-out",
                    folder / f"{name}.pem", "-days", str(days), "-subj", f"/CN={name}", *names, *options],
                   check=True, capture_output=True, timeout=60)


def issue_between(folder, name, start, end):
    """As `issue`, with a time of its own; years are enough."""
    (folder / "ca.cnf").write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={folder}/index\nnew_certs_dir={folder}\n"
                                   "rand_serial=yes\ndefault_md=sha256\npolicy=p\nunique_subject=no\nx509_extensions=x\n"
                                   f"[p]\ncommonName=supplied\n[x]\nsubjectAltName=DNS:{name}.test\n")
    (folder / "index").write_text("")
    for command in (["req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr",
                     "-subj", f"/CN={name}"],
                    ["ca", "-batch", "-selfsign", "-config", "ca.cnf", "-keyfile", f"{name}.key", "-in", f"{name}.csr",
                     "-notext", "-out", f"{name}.pem", "-startdate", f"{start}0101000000Z", "-enddate",
                     f"{end}0101000000Z"]):
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True, timeout=60)


def checked(folder, *certificates, **tls):
    (folder / "poise.yaml").write_text(web(certificates=list(certificates), **tls))
    return verb("check", folder / "poise.yaml")


def pair(certificate, key=None, **more):
    return {"certificate": f"{certificate}.pem", "key": f"{key or certificate}.key", **more}


def test_check_tells_what_each_certificate_is(tmp_path):
    issue(tmp_path, "shop")
    issue(tmp_path, "api", key="P-256", days=400)
    (tmp_path / "bundle.pem").write_text((tmp_path / "api.pem").read_text() + (tmp_path / "api.key").read_text())
    done = checked(tmp_path, pair("shop"), "bundle.pem")
    assert done.returncode == 0 and done.stderr == ""
    lines = [line for line in done.stdout.splitlines() if line.startswith("  certificate ")]
    day = r"until \d{4}-\d\d-\d\d"
    assert len(lines) == 2
    assert re.fullmatch(rf"  certificate {tmp_path}/shop.pem: shop.test, \*.shop.test; RSA 2048; {day}, (89|90) days left",
                        lines[0]), lines
    assert re.fullmatch(rf"  certificate {tmp_path}/bundle.pem: api.test, \*.api.test; ECDSA 256; {day}, (399|400) days left",
                        lines[1]), lines


def test_check_refuses_what_cannot_serve(tmp_path):
    issue(tmp_path, "shop")
    issue(tmp_path, "other")
    issue(tmp_path, "weak", key="rsa:1024")
    (tmp_path / "wrong").write_text("wrong\n")
    subprocess.run(["openssl", "pkey", "-in", tmp_path / "shop.key", "-aes256", "-passout", "pass:right", "-out",
                    tmp_path / "locked.key"], check=True, capture_output=True, timeout=60)
    (tmp_path / "text.pem").write_text("no certificate\n")
    issue(tmp_path, "bitcoin", key="secp256k1")
    lines = (tmp_path / "shop.pem").read_text().splitlines()
    (tmp_path / "torn.pem").write_text("\n".join(["# of the shop", *lines[:3], "!" + lines[3][1:], *lines[4:], ""]))
    (tmp_path / "torn.key").write_text((tmp_path / "shop.key").read_text()[:200])
    (tmp_path / "reversed.pem").write_text((tmp_path / "other.pem").read_text() + (tmp_path / "shop.pem").read_text())
    for count in (240, 50):
        (tmp_path / f"{count}.tickets").write_bytes(bytes(count))
    (tmp_path / "order.pem").write_text((tmp_path / "shop.pem").read_text() + (tmp_path / "other.pem").read_text())
    for certificate, said in [
        (pair("shop", "other"), "the private key does not belong to the certificate [conflict]"),
        (pair("reversed", "shop"), "the private key belongs to certificate 2 of the file, which must be the first [invalid]"),
        (pair("torn", "shop"), "the PEM block that begins in line 2 is damaged [invalid]"),
        (pair("shop", "torn"), "the PEM block that begins in line 1 is damaged [invalid]"),
        (pair("bitcoin"), "no client takes a key on the curve 'secp256k1' [invalid]"),
        (pair("text", "shop"), "there is no PEM block 'CERTIFICATE' [missing]"),
        ("shop.pem", "there is no PEM block of a private key [missing]"),
        (pair("weak"), "the key is too short"),
        (pair("order", "shop"), "certificate 1 of the file is not issued by the one after it"),
        (pair("shop", "locked"), "the private key is encrypted and there is no passphrase [missing]"),
        (pair("shop", "locked", passphrase_file="wrong"), "the passphrase does not open the private key"),
        (pair("shop", ocsp_file="text.pem"), "the OCSP response is damaged"),
    ]:
        done = checked(tmp_path, certificate)
        assert done.returncode == 3 and said in done.stderr and "\nhelp: " in done.stderr, (certificate, done.stderr)
    for count, said in ((240, "240 bytes can be 5 ticket keys of 48 bytes or 3 ticket keys of 80 bytes [invalid]"),
                        (50, "50 bytes are no ticket keys")):
        done = checked(tmp_path, pair("shop"), ticket_key_file=f"{count}.tickets")
        assert done.returncode == 3 and said in done.stderr and "\nhelp: " in done.stderr, done.stderr
    (tmp_path / "right").write_text("right\n")
    assert checked(tmp_path, pair("shop", "locked", passphrase_file="right")).returncode == 0


def test_check_warns_of_what_still_serves(tmp_path):
    issue(tmp_path, "soon", days=12)
    issue(tmp_path, "nameless", san=False)
    issue(tmp_path, "today", days=1)
    issue_between(tmp_path, "gone", 2019, 2020)
    issue_between(tmp_path, "later", 2090, 2091)
    done = checked(tmp_path, *map(pair, ("soon", "nameless", "today", "gone", "later")))
    assert done.returncode == 0, done.stderr
    assert re.search(r"warning: the certificate expires on \S+, in 1[12] days \[expiry\]", done.stderr)
    assert re.search(r"warning: the certificate expires on \S+, in (1 day|less than a day) \[expiry\]", done.stderr)
    assert "warning: the certificate has no subject alternative name" in done.stderr
    assert "warning: the certificate has expired, on 2020-01-01 [expiry]" in done.stderr
    assert "warning: the certificate is not valid yet, only from 2090-01-01 on [expiry]" in done.stderr
    assert "never shown" not in done.stderr
    assert done.stdout.count("  certificate ") == 5 and "until 2020-01-01, expired" in done.stdout


def test_a_certificate_that_is_never_shown_is_warned_of(start, tmp_path):
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
        issue(tmp_path / folder, "shop", key="P-256")
    issue(tmp_path, "shop")
    done = checked(tmp_path, pair("old/shop"), pair("shop"), pair("new/shop"))
    said = f"warning: the certificate is never shown: '{tmp_path}/old/shop.pem' before it has its name and its kind of key [conflict]"
    assert done.returncode == 0 and done.stderr.count("never shown") == 1 and said in done.stderr, done.stderr
    assert "new/shop.pem" in done.stderr.split("\n")[1], done.stderr
    # The daemon that loads them says it too.
    poise = start.poise(re.sub(r": (\S+\.(pem|key))", rf": {tmp_path}/\1", (tmp_path / "poise.yaml").read_text()))
    line = next(n for n, text in enumerate(poise.file.read_text().splitlines(), 1) if "/new/shop.pem" in text)
    poise.wait_line(lambda text: "never shown" in text, "the warning")
    told = [text for text in poise.output("err") if "never shown" in text]
    assert len(told) == 1 and re.match(rf".*poise\.yaml:{line}:\d+: {re.escape(said)}$", told[0]), poise.output()


def test_check_shows_a_certificate_without_any_name(tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "empty.key", "-out",
                    tmp_path / "empty.pem", "-subj", "/"], check=True, capture_output=True, timeout=60)
    done = checked(tmp_path, pair("empty"))
    assert done.returncode == 0 and f"certificate {tmp_path}/empty.pem: no name; RSA 2048; " in done.stdout, done.stdout


def test_check_looks_into_authorities(tmp_path):
    issue(tmp_path, "ca")
    (tmp_path / "text.pem").write_text("no certificate\n")
    for name, status in (("ca.pem", 0), ("text.pem", 3)):
        (tmp_path / "poise.yaml").write_text(configuration(
            [listener(forward="pool")], [group("pool", ["127.0.0.1:1"], protocol="HTTPS", tls={"ca_file": name})]))
        done = verb("check", tmp_path / "poise.yaml")
        assert done.returncode == status, done.stderr
        assert ("the file is no list of authorities" in done.stderr) == (status == 3)


@pytest.mark.parametrize("arguments, status, said", [
    (["--listen", "127.0.0.1:0", "--tls", "shop.pem", "--to", "127.0.0.1:1"], 3, "command line:1:28: error: the file '"),
    (["--listen", "127.0.0.1:0", "--tls", "a.pem,b.pem,c.pem", "--to", "127.0.0.1:1"], 3, "one file too many"),
    (["poise.yaml", "--tls", "self-signed"], 2, "a file and --tls"),
    (["--tls", "self-signed", "--to", "127.0.0.1:1"], 2, "nowhere to listen"),
])
def test_run_refuses(tmp_path, arguments, status, said):
    done = subprocess.run([BINARY, "run", *arguments], capture_output=True, text=True, timeout=30, cwd=tmp_path)
    assert done.returncode == status and said in done.stderr, done.stderr
