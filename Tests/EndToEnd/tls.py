"""Certificates made for one test, and what clients and targets of a test speak TLS with.

    authority = Authority()
    shop = authority.issue("shop.test", "*.shop.test")            # EC; kind="rsa" for the other
    start.proxy(origin, certificates=[shop.files(start.folder)])
    Client(poise.port, tls=client_context(authority), server_name="shop.test")
"""
import datetime
import functools
import ipaddress
import pathlib
import ssl
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PEM = serialization.Encoding.PEM
DAY = datetime.timedelta(days=1)


@functools.cache
def rsa_key(number=0):
    """Made once per number and process: this takes long."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def new_key(kind):
    return rsa_key() if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())


def common_name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def alternative(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Identity:
    """A certificate with its chain and its key."""

    def __init__(self, certificate, key, chain=()):
        self.certificate, self.key, self.chain = certificate, key, list(chain)

    @property
    def serial(self):
        return self.certificate.serial_number

    @property
    def chain_pem(self):
        """The certificate first, then its chain."""
        return b"".join(c.public_bytes(PEM) for c in [self.certificate, *self.chain])

    def key_pem(self, passphrase=None):
        protection = (serialization.BestAvailableEncryption(passphrase.encode()) if passphrase
                      else serialization.NoEncryption())
        return self.key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, protection)

    def files(self, folder, name=None, passphrase=None):
        """Writes certificate and key; returns the mapping that the configuration names them by."""
        base = pathlib.Path(folder) / (name or f"{self.serial:x}")
        mapping = {"certificate": f"{base}.pem", "key": f"{base}.key"}
        self.replace(mapping, passphrase)
        if passphrase:
            mapping["passphrase_file"] = f"{base}.passphrase"
            pathlib.Path(mapping["passphrase_file"]).write_text(passphrase + "\n")
        return mapping

    def replace(self, mapping, passphrase=None):
        """Puts this identity where another's files are, each file at once as tools for renewal do; the key first."""
        for path, data in ((mapping["key"], self.key_pem(passphrase)), (mapping["certificate"], self.chain_pem)):
            replace(path, data)

    def bundle(self, folder, name=None):
        """Everything in one file; returns its path."""
        path = pathlib.Path(folder) / f"{name or f'{self.serial:x}'}.bundle"
        replace(path, self.chain_pem + self.key_pem())
        return str(path)


def replace(path, data):
    """A file's new content, whole or not at all."""
    new = pathlib.Path(f"{path}.new")
    new.touch(mode=0o600)
    new.write_bytes(data)
    new.rename(path)


class Authority:
    """A certificate authority; with `above` an intermediate one, which its leaves bring along."""

    def __init__(self, name="Authority of a test", above=None):
        self.key, self.above = new_key("ec"), above
        self.certificate = self._sign(common_name(name), self.key.public_key(), above or self, [
            (x509.BasicConstraints(ca=True, path_length=None), True),
            (x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
                           key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
                           decipher_only=False), True)], subject_of_self=common_name(name))

    @staticmethod
    def _sign(subject, public, by, extensions, start=-1, end=30, subject_of_self=None):
        now = datetime.datetime.now(datetime.timezone.utc)
        issuer = getattr(by, "certificate", None)
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer.subject if issuer else subject_of_self)
                   .public_key(public).serial_number(x509.random_serial_number())
                   .not_valid_before(now + start * DAY).not_valid_after(now + end * DAY))
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key()), False)
        return builder.sign(by.key, hashes.SHA256())

    def issue(self, *names, kind="ec", start=-1, end=30, key=None):
        """A leaf for these names (addresses, too), valid from `start` to `end` days from now."""
        key = key or new_key(kind)
        certificate = self._sign(common_name(names[0]), key.public_key(), self, [
            (x509.SubjectAlternativeName([alternative(name) for name in names]), False),
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False),
        ], start, end)
        return Identity(certificate, key, [self.certificate] if self.above else [])

    @property
    def pem(self):
        return self.certificate.public_bytes(PEM)

    def file(self, folder, name="authority"):
        path = pathlib.Path(folder) / f"{name}.pem"
        path.write_bytes(self.pem)
        return str(path)


VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def _common(context, alpn, version, ciphers, identity):
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if version:
        context.minimum_version = context.maximum_version = VERSIONS[version]
    if ciphers:
        context.set_ciphers(ciphers)
    if identity:
        with tempfile.TemporaryDirectory() as folder:
            files = identity.files(folder)
            context.load_cert_chain(files["certificate"], files["key"])
    return context


def client_context(authority=None, alpn=("http/1.1",), version=None, ciphers=None, identity=None):
    """A client that believes `authority` and checks names; without one it believes anybody. `ciphers` is for TLS 1.2."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authority:
        context.load_verify_locations(cadata=authority.pem.decode())
    else:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return _common(context, alpn, version, ciphers, identity)


def server_context(identity, alpn=("http/1.1",), version=None, ciphers=None, clients=None):
    """A target that shows `identity`; with `clients` it asks for a certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if clients:
        context.load_verify_locations(cadata=clients.pem.decode())
        context.verify_mode = ssl.CERT_REQUIRED
    # What the client asked for: `sock.asked_name`, None where it named nobody.
    context.sni_callback = lambda sock, name, _: setattr(sock, "asked_name", name)
    return _common(context, alpn, version, ciphers, identity)


def shown(client):
    """The certificate that the server showed to a client."""
    return x509.load_der_x509_certificate(client.sock.getpeercert(binary_form=True))
