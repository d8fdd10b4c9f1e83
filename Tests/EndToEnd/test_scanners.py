"""What outside judges say of an HTTPS listener: sslyze against Mozilla's recommendations, and testssl.sh."""
import json
import re
import subprocess

import pytest

from deadline import SLOW, Deadline
from real import program, soak_tool
from tls import Authority

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]
# What an application is expected to say, so that testssl.sh judges only what is ours.
CAREFUL = [("Content-Security-Policy", "default-src 'self'"), ("X-Frame-Options", "DENY"), ("X-Content-Type-Options", "nosniff"),
           ("Referrer-Policy", "no-referrer")]


@pytest.fixture
def scanned(start):
    """Starts a listener with an EC and an RSA certificate for one name; returns its port and the authority's file."""
    authority = Authority()

    def careful(conn):
        while True:
            conn.request(Deadline(600))
            conn.respond(fields=CAREFUL, body=b"hello")

    def run(**settings):
        pair = [authority.issue("shop.test", kind=kind, end=85).files(start.folder, kind) for kind in ("ec", "rsa")]
        poise = start.proxy(start.origin(careful), certificates=pair, strict_transport={"max_age": "365d"}, **settings)
        return poise.port, authority.file(start.folder)
    return run


@pytest.mark.parametrize("policy, mozilla, complies", [
    (None, "intermediate", True), ("modern", "modern", True), ("old", "old", True),
    # And that the judge does judge.
    (None, "modern", False), ("old", "intermediate", False)])
def test_sslyze_and_mozilla(start, scanned, policy, mozilla, complies):
    port, authority = scanned(policy=policy)
    report = start.folder / "report.json"
    done = subprocess.run(
        [soak_tool("sslyze"), f"--mozilla_config={mozilla}", "--sni", "shop.test", "--certinfo_ca_file", authority, "--resum",
         "--early_data", "--json_out", report, f"127.0.0.1:{port}"], capture_output=True, text=True, timeout=120 * SLOW)
    verdict = done.stdout.partition("COMPLIANCE AGAINST TLS CONFIGURATION")[2]
    assert f'Mozilla\'s "{mozilla}"' in verdict, done.stdout + done.stderr
    # The certificate itself is the test's.
    held_against = [name for name in re.findall(r"^ +\* (\w+):", verdict, re.MULTILINE) if not name.startswith("certificate_")]
    assert ("OK - Compliant." in verdict or "FAILED - Not compliant." in verdict) and (held_against == []) == complies, verdict
    (server,) = json.loads(report.read_text())["server_scan_results"]
    results = {name: scan["result"] for name, scan in server["scan_result"].items() if scan["status"] == "COMPLETED"}
    assert results["elliptic_curves"]["supports_ecdh_key_exchange"]
    assert not results["session_renegotiation"]["is_vulnerable_to_client_renegotiation_dos"]
    assert not results["tls_1_3_early_data"]["supports_early_data"]
    if policy != "modern":  # it asks for these by TLS 1.2
        assert len(results["certificate_info"]["certificate_deployments"]) == 2, "one certificate per kind of key"
        assert results["session_renegotiation"]["supports_secure_renegotiation"]
        assert results["session_resumption"]["tls_ticket_resumption_result"] == "FULLY_SUPPORTED"


def test_testssl_finds_nothing_above_low(start, scanned):
    port, authority = scanned()
    report = start.folder / "report.json"
    # Not -e and -c (each of 370 suites, simulated clients): minutes, and sslyze has asked the same.
    done = subprocess.run(
        [program("testssl"), "--warnings", "off", "--color", "0", "--nodns", "none", "--ip", "127.0.0.1", "--add-ca", authority,
         "--openssl-timeout", "20", "--connect-timeout", "20", "-p", "-s", "-f", "-P", "-S", "-h", "-U", "-oj", report,
         f"https://shop.test:{port}"], capture_output=True, text=True, timeout=540, cwd=start.folder)
    findings = json.loads(report.read_text())
    said = {finding["id"]: finding["finding"] for finding in findings}
    # That it did look, to the end.
    assert said["TLS1_2"] == "offered" and said["TLS1_3"].startswith("offered") and "RC4" in said, done.stdout
    assert said["ALPN_HTTP2"] == "h2" and "HSTS_time" in said and "scanTime" in said, done.stdout
    severe = [f for f in findings if f["severity"] in ("MEDIUM", "HIGH", "CRITICAL", "FATAL") and not ours_to_differ(f["id"])]
    assert severe == []


def ours_to_differ(name):
    """What testssl.sh holds against us although it is meant so."""
    return (
        # The certificate of a test: no authority that anybody knows, no place to ask for its revocation.
        name.startswith(("cert_chain_of_trust", "cert_revocation"))
        # Mozilla intermediate lets the client choose among suites that are all strong; version 3.0 asks for the server's order.
        or name == "cipher_order")
