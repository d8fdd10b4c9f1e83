"""Receivers of notifications: a program that writes down what it gets, and an HTTP server that does."""
import http.server
import json
import ssl
import threading

from deadline import eventually

# Appends its environment as a line of JSON, in one write.
SCRIPT = """#!{python} -IS
import json, os, sys
line = json.dumps({{k: v for k, v in os.environ.items()}} | {{"arguments": sys.argv[1:], "uid": os.getuid()}}) + "\\n"
with open({file!r}, "ab", buffering=0) as f:
    f.write(line.encode())
"""


class QuietHandler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass


class QuietServer(http.server.ThreadingHTTPServer):
    """Connections that end as they please are no errors of a test."""
    daemon_threads = True

    def handle_error(self, *_):
        pass


class Program:
    """A command that writes down each of its runs."""

    def __init__(self, folder, python, name="page"):
        self.path, self.file = folder / name, folder / f"{name}.jsonl"
        self.file.touch()
        # Written by whoever Poise is.
        self.file.chmod(0o666)
        self.path.write_text(SCRIPT.format(python=python, file=str(self.file)))
        self.path.chmod(0o755)

    def runs(self):
        return [json.loads(line) for line in self.file.read_text().splitlines()]

    def events(self, group=None):
        return [(r["POISE_EVENT"], r["POISE_TARGET"]) for r in self.runs() if group in (None, r["POISE_GROUP"])]


class Receiver:
    """An HTTP server that answers each request with the next status of `script`, then with 200."""

    def __init__(self, script=(), identity=None, hold=None):
        self.script, self.hold = list(script), hold
        self.requests, self.lock = [], threading.Lock()
        outer = self

        class Handler(QuietHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with outer.lock:
                    status = outer.script.pop(0) if outer.script else 200
                    outer.requests.append((status, dict(self.headers), self.path, json.loads(body)))
                if outer.hold:
                    outer.hold.wait(60)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

        self.server = QuietServer(("127.0.0.1", 0), Handler)
        if identity:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*identity)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def bodies(self, status=None):
        with self.lock:
            return [body for code, _, _, body in self.requests if status in (None, code)]


class Switch:
    """A target whose health is whatever a test says, at once: a status, or None to hang up without an answer."""

    def __init__(self):
        self.status, self.probes = 200, 0
        outer = self

        class Handler(QuietHandler):
            def do_GET(self):
                outer.probes += 1
                if outer.status is None:
                    self.close_connection = True
                    return
                self.send_response(outer.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

        self.server = QuietServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def told(poise, line, count=1):
    """Waits until the operational log has `count` lines with this in them, and returns them."""
    def found():
        lines = [text for text in poise.output("err") if line in text]
        return lines if len(lines) >= count else None
    return eventually(f"{count} times '{line}'", found, 20)
