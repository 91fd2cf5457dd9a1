"""A real `squall serve` on a port of the loopback that the system chooses, driven over HTTP."""
import gzip
import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse

from program import KNMI, SQUALL, frame

REGION = "window = 200,260,160,128"  # a part of the grid, for speed


class Answer:
    def __init__(self, what, status, headers, body):
        self.what, self.status, self.headers, self.body = what, status, headers, body

    def json(self):
        return json.loads(self.body, parse_constant=lambda word: wrong(self, f"'{word}' is no JSON"))


def wrong(answer, what):
    sys.exit(f"FAILED: {what}\n{answer.what}: {answer.status}\n{dict(answer.headers)}\n{answer.body[:2000]!r}")


def expect(holds, answer, what):
    if not holds:
        wrong(answer, what)


class Server:
    """with Server(config) as server: server.get("/")"""

    def __init__(self, config, folder=None, data="data", listen="127.0.0.1:0", server="", unix=False, environment=None):
        self.own = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="squall-serve-"))
        self.data = self.folder / data
        self.socket = self.folder / "socket"
        addresses = listen + (f", unix:{self.socket}" if unix else "")
        self.ini = self.folder / "squall.ini"
        self.head = f"[server]\nlisten = {addresses}\ndata = {self.data}\nstop_s = 20\n{server}\n"
        self.configure(config)
        self.environment = {**os.environ, **(environment or {})}
        self.process = None

    def configure(self, config):
        self.ini.write_text(self.head + config)

    def start(self):
        self.log_file = open(self.folder / "log", "a")
        self.process = subprocess.Popen([str(SQUALL), "serve", "--config", str(self.ini)], stdout=subprocess.PIPE,
                                        stderr=self.log_file, text=True, env=self.environment)
        line = self.process.stdout.readline().strip()
        if not line.startswith("http://"):
            sys.exit(f"FAILED: squall serve did not start: '{line}'\n{self.log()}")
        self.address = line
        self.host, self.port = urllib.parse.urlsplit(line).hostname, urllib.parse.urlsplit(line).port
        return self

    __enter__ = start

    def stop(self, how=signal.SIGTERM, code=0, limit_s=60):
        """End it; its exit code must be `code` (None: any)."""
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            done = self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            sys.exit(f"FAILED: the server did not stop within {limit_s} s\n{self.log()}")
        self.process.stdout.close()
        self.log_file.close()
        self.process = None
        if code is not None and done != code:
            sys.exit(f"FAILED: the server ended with {done}\n{self.log()}")

    def kill(self):
        self.stop(signal.SIGKILL, code=None)

    def __exit__(self, kind, *_):
        if self.process is not None:
            self.stop(code=0 if kind is None else None)
        if kind is not None:
            print(self.log()[-6000:])
        if self.own:
            shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        return (self.folder / "log").read_text()

    def events(self, name):
        """Lines of the log with this event."""
        lines = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    def get(self, path, status=200, method="GET", body=None, headers=(), **query):
        """Ask; the status must be the one expected (None: any)."""
        if query:
            path += "?" + urllib.parse.urlencode({k.replace("_", "-"): v for k, v in query.items()})
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        connection.request(method, path, body, dict(headers))
        got = connection.getresponse()
        answer = Answer(f"{method} {path}", got.status, got.headers, got.read())
        connection.close()
        if got.headers.get("Content-Encoding") == "gzip" and method != "HEAD":
            answer.body = gzip.decompress(answer.body)
        expect(status is None or got.status == status, answer, f"status {status} was expected")
        return answer

    def wait(self, what, holds, limit_s=60):
        """Wait until holds() is true; returns what it gave."""
        until = time.monotonic() + limit_s
        while time.monotonic() < until:
            found = holds()
            if found:
                return found
            if self.process.poll() is not None:
                sys.exit(f"FAILED: the server ended while waiting for {what}\n{self.log()}")
            time.sleep(0.05)
        sys.exit(f"FAILED: no {what} within {limit_s} s\n{self.log()[-6000:]}")

    def forecast(self, region, issue, limit_s=60):
        """Wait until the region's newest forecast is of this issue time ("02:00")."""
        def ask():
            answer = self.get(f"/regions/{region}", status=None)
            document = answer.json() if answer.status == 200 else None
            return document if document and document["issue_time"] == f"2010-08-26T{issue}:00Z" else None
        return self.wait(f"forecast of {issue} for {region}", ask, limit_s)


def copy_frame(hhmm, folder, name=None):
    """The shipped frame of that time appears in the folder by a rename, as it should."""
    hidden = pathlib.Path(folder) / f".{hhmm}"
    shutil.copy(frame(hhmm), hidden)
    os.rename(hidden, pathlib.Path(folder) / (name or frame(hhmm).name))


def watch_config(folder, region=REGION, more="", source="", now="2010-08-26T02:00Z", speed=1):
    """One region on a watched folder; its clock is that of its frames."""
    return f"""
[replay]
start = {now}
speed = {speed}
[source radar]
watch = {folder}
attribution = Source: KNMI (CC BY 4.0)
{source}
[region nl]
title = Netherlands
radar = radar
{region}
{more}
[location helder]
title = Den Helder
lon = 4.76
lat = 52.96
[location paris]
lon = 2.35
lat = 48.86
"""
