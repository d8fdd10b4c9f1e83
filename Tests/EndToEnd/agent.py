"""An agent as HAProxy's `agent-check` asks it: one line per connection, changed by the test at will."""
import socket
import threading


class Agent:
    """Answers each connection with `line`, or as `speak(conn)` says; notes what it was sent, and counts."""

    def __init__(self, line="ready up 100%\n"):
        self.line, self.speak = line, None
        self.heard, self.asked = [], 0
        self.stopped = threading.Event()
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                conn, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(conn,), daemon=True).start()

    def _answer(self, conn):
        with conn:
            self.asked += 1
            try:
                if self.speak:
                    return self.speak(conn)
                conn.sendall(self.line.encode())
                conn.settimeout(2)
                while data := conn.recv(4096):
                    self.heard.append(data)
            except OSError:
                pass

    def end(self):
        """Nobody answers at its port any more."""
        self.stopped.set()
        # A thread in accept(2) holds the socket open otherwise.
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
        self.thread.join(5)
