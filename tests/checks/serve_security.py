"""Who means harm: requests that two servers would cut apart differently, headers without end, paths out of their folder; and the filter of
system calls, in force and in words."""
import pathlib
import socket
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from server import Server, copy_frame, watch_config


def holds(what, truth):
    if not truth:
        sys.exit(f"FAILED: {what}")


def talk(server, data, wait_s=1.0):
    """Send bytes, and all that comes back until the server is silent or closes."""
    got = b""
    with socket.create_connection((server.host, server.port)) as one:
        one.settimeout(wait_s)
        try:
            one.sendall(data)
            while chunk := one.recv(65536):
                got += chunk
        except (socket.timeout, ConnectionError):
            pass
    return got


def statuses(got):
    return [int(part[:3]) for part in got.split(b"HTTP/1.1 ")[1:]]


def smuggling(server):
    """Each is refused or closed before what hides in it is taken for a request."""
    hidden = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    head = b"POST /v2/repository/index HTTP/1.1\r\nHost: x\r\n"
    cases = {
        "both lengths": head + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
        "both lengths, the other way": head + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + hidden,
        "two lengths": head + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(hidden) + hidden,
        "two lengths in one": head + b"Content-Length: 0, %d\r\n\r\n" % len(hidden) + hidden,
        "a length with a sign": head + b"Content-Length: +%d\r\n\r\n" % len(hidden) + hidden,
        "a length below zero": head + b"Content-Length: -1\r\n\r\n" + hidden,
        "a length in hexadecimal": head + b"Content-Length: 0x0\r\n\r\n" + hidden,
        "no length at all": head + b"Content-Length: \r\n\r\n" + hidden,
        "an encoding that is none": head + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + hidden,
        "an encoding behind another": head + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + hidden,
        "two encodings": head + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + hidden,
        "a space before the colon": head + b"Content-Length : %d\r\n\r\n" % len(hidden) + hidden,
        "a chunk of a size that is none": head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + hidden,
        "a chunk beyond all sizes": head + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + hidden,
    }
    for what, data in cases.items():
        got = talk(server, data)
        found = statuses(got)
        holds(f"{what}: {got[:600]!r}", all(400 <= s < 600 for s in found))
        holds(f"{what}: what hid in it was answered", b'"live"' not in got and b'"status"' not in got)
    two = talk(server, head + b"Content-Length: 0\r\n\r\n" + hidden)
    holds(f"an honest pair is answered: {two[:300]!r}", statuses(two)[-1] == 200)


def large(server):
    holds("a line without end", statuses(talk(server, b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n"))[:1] in ([414], [431], [400], []))
    holds("a header without end", statuses(talk(server, b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100000 + b"\r\n\r\n"))[:1] in ([431], [413], []))
    many = b"".join(b"X-%d: a\r\n" % n for n in range(5000))
    holds("headers without end", statuses(talk(server, b"GET / HTTP/1.1\r\nHost: x\r\n" + many + b"\r\n"))[:1] in ([431], [413], []))
    for path in ("/../../etc/passwd", "/leaflet/../../../etc/passwd", "/leaflet/%2e%2e/%2e%2e/etc/passwd", "/regions/nl/products/..%2f..%2fsquall.ini",
                 "/pages/%2e%2e%2fsquall.ini", "//etc/passwd", "/regions/nl/products/%00"):
        got = talk(server, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        holds(f"{path}: {got[:300]!r}", statuses(got)[0] in (400, 404) and b"root:" not in got and b"[server]" not in got)


def filtered(server):
    """All threads are filtered, none may gain privileges, and what is refused is told and harms nobody."""
    tasks = list(pathlib.Path(f"/proc/{server.process.pid}/task").iterdir())
    for task in tasks:
        text = (task / "status").read_text()
        holds(f"{task}: {text}", "Seccomp:\t2" in text and "NoNewPrivs:\t1" in text)
    holds("there are threads", len(tasks) > 3)
    holds("the log has no refusal", server.events("sandbox") == [])


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "in").mkdir()
        with Server(watch_config(folder / "in"), folder, server="idle_s = 5") as server:
            for hhmm in ("0155", "0200"):
                copy_frame(hhmm, folder / "in")
            server.forecast("nl", "02:00")
            smuggling(server)
            large(server)
            filtered(server)
            server.get("/health/live")
    print("nobody gets in")


main()
