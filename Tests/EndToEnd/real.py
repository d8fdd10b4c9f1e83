"""Real programs that tests run as clients and as targets."""
import contextlib
import os
import shutil
import socket
import subprocess

from deadline import eventually
from poise import ROOT


def program(name):
    """The path of a program that `make deps` installs."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    assert path, f"{name} is not installed: make deps, or make deps-soak"
    return path


def soak_tool(name):
    """The path of a program that `make deps-soak` installs beside the Python of the tests."""
    path = shutil.which(name, path=os.environ.get("POISE_SOAK_BIN", ROOT / ".venv-soak/bin"))
    assert path, f"{name} is not installed: make deps-soak"
    return path


def free_port():
    """A port that is free now: for programs that cannot be asked for a free one."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@contextlib.contextmanager
def running(command, port, log):
    """A server from its start (it listens) to its end."""
    with open(log, "ab") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def listens():
        assert process.poll() is None, f"{command[0]} has ended:\n{log.read_text()}"
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", port)) == 0
    try:
        eventually(f"{command[0]} listens", listens)
        yield port
    finally:
        process.terminate()
        process.wait()


def files_in(folder):
    """A folder of files to serve: /small (1,000 bytes) and /large (10 MB)."""
    www = folder / "www"
    www.mkdir(parents=True)
    (www / "small").write_bytes(b"x" * 1000)
    (www / "large").write_bytes(LARGE)
    for place in (folder.parent, folder, www):
        place.chmod(0o755)
    return www


LARGE = bytes(range(256)) * 40_000


def nginx(folder, identity=None, http2=False, more=""):
    """nginx that serves files and echoes nothing; with `identity` over TLS, with `http2` that as well (or alone, without TLS).

    `more` goes into its server block; WWW is the folder of its files, in which anybody may write to put/.
    """
    www, port = files_in(folder), free_port()
    (www / "put").mkdir()
    (www / "put").chmod(0o777)
    temporary = " ".join(f"{k}_temp_path {folder}/{k};" for k in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    words = f"listen 127.0.0.1:{port}" + (" ssl" if identity else "") + (" http2" if http2 else "")
    if identity:
        files = identity.files(folder)
        words += f"; ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate {files['certificate']}; ssl_certificate_key {files['key']}"
    (folder / "conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error; events {{ worker_connections 4096; }}\n"
        f"http {{ access_log off; {temporary} server {{ {words}; root {www}; {more.replace('WWW', str(www))} }} }}\n")
    return running([program("nginx"), "-p", folder, "-e", folder / "error", "-c", folder / "conf"], port, folder / "error")


def nghttpd(folder, identity=None):
    """nghttpd that serves files, with trailers; with `identity` over TLS."""
    www, port = files_in(folder), free_port()
    command = [program("nghttpd"), "--address=127.0.0.1", f"--htdocs={www}", "--echo-upload", "--trailer=x-sum: 6"]
    if identity:
        files = identity.files(folder)
        command += [str(port), files["key"], files["certificate"]]
    else:
        command += ["--no-tls", str(port)]
    return running(command, port, folder / "log")
