"""`poise schema` prints a JSON Schema that accepts every example and refuses what the loader refuses."""
import json
import re
import subprocess

import jsonschema
import pytest
import yaml

from poise import BINARY, ROOT


class Loader(yaml.SafeLoader):
    """Scalars as editors read them (YAML 1.2): `off` and `12:30` are texts."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag == "tag:yaml.org,2002:merge"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(?:true|false)\Z"), list("tf"))
Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"-?[0-9]+\Z"), list("-0123456789"))


@pytest.fixture(scope="module")
def validator():
    done = subprocess.run([BINARY, "schema"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    schema = json.loads(done.stdout)
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


def test_there_are_examples():
    assert [e for e in EXAMPLES if e.name == "quickstart.yaml"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.name)
def test_an_example_fits(validator, path):
    validator.validate(yaml.load(path.read_text(), Loader))


@pytest.mark.parametrize("text", [
    "listeners: [{address: ':8443', protocol: HTTPS, tls: {certificates: a.pem}, forward: [127.0.0.1:1]}]",
    "listeners: [{address: ':8443', protocol: HTTPS, forward: [127.0.0.1:1],"
    " tls: {certificates: [a.pem, {certificate: b.pem, key: '${KEY}'}], strict_transport: off}}]",
    "defaults: {listener: {tls: {policy: intermediate, strict_transport: {max_age: 30d}}},"
    " target_group: {tls: {ca_file: ca.pem, certificate: off}, http2: {max_streams: 7}}}",
    "target_groups: [{name: web, targets: [127.0.0.1:1], protocol: HTTPS, version: http2, http2: {window: 65535B},"
    " tls: {certificate: {certificate: a.pem, key: a.key}, name: a.test}, health_check: {protocol: TLS}}]",
    "target_groups: [{name: web, targets: [127.0.0.1:1], health_check: {protocol: SCRIPT, script: [{send: a}, {expect_hex: '00'}]}},"
    " {name: names, targets: [127.0.0.1:53], health_check: {protocol: DNS, query: a.test, record: AAAA, answer: '::1'}}]",
])
def test_settings_of_tls_and_http2_fit(validator, text):
    validator.validate(yaml.load(text, Loader))


@pytest.mark.parametrize("text", [
    "listeners: [{address: ':8080', forwrad: [127.0.0.1:1]}]",
    "listenres: []",
    "listeners: {}",
    "version: 2\nlisteners: [{address: ':8080', forward: [127.0.0.1:1]}]",
    "listeners: [{address: ':8080', protocol: FTP, forward: [127.0.0.1:1]}]",
    "listeners: [{address: ':8080', forward: web}]\ntarget_groups: [{name: web, targets: [], algorithm: fastest}]",
    "listeners: [{address: ':8080', forward: web, rules: [{when: {pth: [/a]}, forward: web}]}]",
    "listeners: [{address: ':8443', protocol: HTTPS, tls: {certificate: a.pem}, forward: [127.0.0.1:1]}]",
    "listeners: [{address: ':8443', protocol: HTTPS, tls: {certificates: [{key: a.key}]}, forward: [127.0.0.1:1]}]",
    "listeners: [{address: ':8443', protocol: HTTPS, tls: {alpn_policy: h2}, forward: [127.0.0.1:1]}]",
    "listeners: [{address: ':8443', protocol: HTTPS, tls: {policy: none}, forward: [127.0.0.1:1]}]",
    "listeners: [{address: ':8080', http2: {max_streams: 0}, forward: [127.0.0.1:1]}]",
    "target_groups: [{name: web, targets: [127.0.0.1:1], version: http3}]",
    "target_groups: [{name: web, targets: [127.0.0.1:1], protocol: HTTPS, tls: {verify: often}}]",
    "target_groups: [{name: web, targets: [127.0.0.1:1], health_check: {protocol: LDAP}}]",
    "target_groups: [{name: web, targets: [127.0.0.1:1], health_check: {protocol: SCRIPT, script: [{send: a, expect: b}]}}]",
    "target_groups: [{name: web, targets: [127.0.0.1:1], health_check: {protocol: DNS, query: a.test, record: AXFR}}]",
])
def test_a_mistake_does_not_fit(validator, text):
    assert list(validator.iter_errors(yaml.load(text, Loader)))
