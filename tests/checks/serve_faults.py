"""What goes wrong around a service: slow writers, files that are late, twice, corrected, corrupt, from the future or missing,
a process that is killed, and configurations that change under it."""
import os
import pathlib
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from program import frame
from server import REGION, Server, copy_frame, expect, watch_config

EARLY = ("0125", "0130", "0135", "0140")


def results(server):
    """How many frames had each result, by the metrics."""
    found = {}
    for line in server.get("/metrics").body.decode().splitlines():
        if line.startswith("squall_frames_total"):
            found[line.split('result="')[1].split('"')[0]] = int(float(line.rsplit(" ", 1)[1]))
    return found


def until(server, result, count):
    server.wait(f"{count} {result} frames", lambda: results(server).get(result, 0) >= count)


def arrivals(folder):
    frames = folder / "frames"
    frames.mkdir()
    for hhmm in EARLY:
        copy_frame(hhmm, frames)
    with Server(watch_config(frames, now="2010-08-26T02:06Z")) as server:
        server.forecast("nl", "01:40")

        # A writer that takes its time: nothing is read before it has closed the file.
        data = frame("0145").read_bytes()
        with open(frames / frame("0145").name, "wb") as slow:
            for at in range(0, len(data), len(data) // 6 + 1):
                slow.write(data[at:at + len(data) // 6 + 1])
                slow.flush()
                time.sleep(0.1)
            before = results(server)
            expect(before.get("corrupt", 0) == 0, server.get("/status"), "half a file is no frame")
        server.forecast("nl", "01:45")

        # One that never closes its file: it is read when it has rested, and again when it has grown.
        open_for_long = open(frames / frame("0150").name, "wb")
        data = frame("0150").read_bytes()
        open_for_long.write(data[:len(data) // 2])
        open_for_long.flush()
        until(server, "corrupt", 1)
        open_for_long.write(data[len(data) // 2:])
        open_for_long.flush()
        server.forecast("nl", "01:50")
        open_for_long.close()
        until(server, "duplicate", 1)

        # Out of order: the newest first. The one that is late is kept, but makes no forecast.
        copy_frame("0200", frames)
        server.forecast("nl", "02:00")
        gap = server.get("/regions/nl").json()
        used = [f["file"] for f in gap["inputs"]["sources"][0]["frames"]]
        expect(frame("0155").name not in used, server.get("/regions/nl"), "01:55 was not there")
        copy_frame("0155", frames)
        until(server, "late", 1)
        time.sleep(0.3)
        expect(server.get("/regions/nl").json()["made_time"] == gap["made_time"], server.get("/regions/nl"), "no new forecast")

        # The same again, under another name: nothing happens.
        copy_frame("0200", frames, "again.h5")
        until(server, "duplicate", 2)

        # Corrupt in different ways, and names of what is not finished.
        whole = frame("0205").read_bytes()
        for number, bad in enumerate((whole[:5000], b"", b"\x89HDF\r\n\x1a\n" + bytes(500), b"nonsense " * 100)):
            (frames / f".bad{number}").write_bytes(bad)
            os.rename(frames / f".bad{number}", frames / f"bad{number}.h5")
        until(server, "corrupt", 5)
        (frames / "half.h5.part").write_bytes(whole[:100])
        # The frame from the far future is refused: with it the clock would seem to have jumped.
        copy_frame("0455", frames)
        until(server, "future", 1)
        expect(server.forecast("nl", "02:00")["issue_time"] == "2010-08-26T02:00:00Z", server.get("/status"), "still 02:00")

        # After all that the next good frame is forecast from, with the late one in it.
        copy_frame("0205", frames)
        after = server.forecast("nl", "02:05")
        used = [f["file"] for f in after["inputs"]["sources"][0]["frames"]]
        expect(frame("0155").name in used, server.get("/regions/nl"), "the late frame is used now")
        expect(all(line["text"] for line in server.events("frame") if line["result"] == "corrupt"), server.get("/status"),
               "the log says what is wrong with each")


def deadline(folder):
    """A region that waits for a satellite forecasts without it when the deadline has passed, and says so."""
    frames, satellite = folder / "radar", folder / "satellite"
    frames.mkdir()
    satellite.mkdir()
    for hhmm in EARLY:
        copy_frame(hhmm, frames)
    config = watch_config(frames, more="sources = sat\ndeadline_s = 60", now="2010-08-26T01:41Z", speed=30)
    config += f"[source sat]\nwatch = {satellite}\n"
    with Server(config) as server:
        start = time.monotonic()
        made = server.forecast("nl", "01:40")
        expect(not made["complete"] and time.monotonic() - start > 1.5, server.get("/regions/nl"), "it waited, and says what it lacked")
        # A frame that does not come is missing, once; the map goes on to show its age.
        missing = server.wait("missing frame", lambda: server.events("missing"))
        expect(missing[0]["region"] == "nl" and missing[0]["frame"] == "2010-08-26T01:45:00Z", server.get("/status"), "missing")
        expect(server.get("/status").json()["regions"][0]["state"] == "late", server.get("/status"), "the status says so")


def killed(folder):
    """kill -9 at odd moments: after each, everything that was published is there, whole, and the service goes on."""
    frames = folder / "frames"
    frames.mkdir()
    times = ("0125", "0130", "0135", "0140", "0145", "0150", "0155", "0200", "0205", "0210", "0215", "0220")
    config = watch_config(frames, now="2010-08-26T02:21Z")
    published = set()
    server = Server(config, folder=folder)
    for number, hhmm in enumerate(times):
        copy_frame(hhmm, frames)
        server.start()
        # Not always when it rests: sooner or later after its start, in the midst of reading, forecasting or writing.
        time.sleep(0.03 * number)
        if number % 3 == 2:
            made = server.forecast("nl", f"{hhmm[:2]}:{hhmm[2:]}")
            whole = server.wait("product", lambda: [p for p in server.get("/regions/nl/products").json()["products"]
                                                    if p["issue_time"] == made["issue_time"]])
            published.add(whole[0]["href"].rsplit("/", 1)[1])
        server.kill()
    server.start()
    server.forecast("nl", "02:20")
    products = server.get("/regions/nl/products").json()["products"]
    names = {p["href"].rsplit("/", 1)[1] for p in products}
    expect(published <= names, server.get("/regions/nl/products"), f"published and lost: {published - names}")
    for product in products:
        answer = server.get(f"/regions/nl/products/{product['href'].rsplit('/', 1)[1]}")
        expect(answer.body[:8] == b"\x89HDF\r\n\x1a\n" and len(answer.body) == product["bytes"], answer, "a whole file")
    on_disk = {p.name for p in (server.data / "products/nl").iterdir() if not p.name.startswith(".")}
    expect(on_disk == names, server.get("/regions/nl/products"), f"the catalogue knows every file: {on_disk ^ names}")
    # Restarted in good order it has its forecasts before any file is read again.
    server.stop()
    shutil.rmtree(frames)
    frames.mkdir()
    server.start()
    back = server.get("/regions/nl").json()
    expect(back["issue_time"] == "2010-08-26T02:20:00Z" and back["method"] == "extrapolation", server.get("/regions/nl"), "restored")
    expect(len(back["forecast"]) == 12, server.get("/regions/nl"), "with all its lead times")
    server.stop()


def reloaded(folder):
    """SIGHUP while requests run: none is lost; a region is added, one goes; a mistake changes nothing."""
    frames = folder / "frames"
    frames.mkdir()
    for hhmm in EARLY:
        copy_frame(hhmm, frames)
    config = watch_config(frames, now="2010-08-26T01:41Z")
    with Server(config) as server:
        server.forecast("nl", "01:40")
        lost, asked, stop = [], [0], threading.Event()

        def keep_asking():
            while not stop.is_set():
                try:
                    answer = server.get("/collections/nl/position", status=None, coords="POINT(4.76 52.96)")
                    asked[0] += 1
                    if answer.status != 200:
                        lost.append(answer.status)
                except OSError as problem:
                    lost.append(str(problem))

        askers = [threading.Thread(target=keep_asking) for _ in range(3)]
        for asker in askers:
            asker.start()
        for number in range(6):
            more = f"\n[region r{number}]\nradar = radar\n{REGION}\nleads_min = 5,10\n" if number != 3 else "\n[region nl]\n"
            server.configure(config + more)
            server.process.send_signal(signal.SIGHUP)
            if number != 3:
                server.wait(f"region r{number}", lambda: server.get(f"/regions/r{number}", status=None).status == 200)
            else:
                server.wait("refusal", lambda: server.events("configuration"))
        expect(server.get("/regions/r4", status=None).status == 404, server.get("/status"), "a region that is gone is gone")
        stop.set()
        for asker in askers:
            asker.join()
        expect(not lost and asked[0] > 20, server.get("/status"), f"{asked[0]} requests, lost: {lost[:5]}")


def slow_clients(folder):
    """Hundreds of clients that begin and never end a request take nobody's turn, and are hung up on."""
    frames = folder / "frames"
    frames.mkdir()
    for hhmm in EARLY:
        copy_frame(hhmm, frames)
    with Server(watch_config(frames, now="2010-08-26T01:41Z"), server="idle_s = 2\nper_address = 400") as server:
        server.forecast("nl", "01:40")
        slow = [socket.create_connection((server.host, server.port)) for _ in range(300)]
        for number, one in enumerate(slow):
            one.sendall(b"GET /status HTTP/1.1\r\nX-Slow: "[:5 + number % 25])
        for _ in range(20):
            start = time.monotonic()
            answer = server.get("/collections/nl/position", coords="POINT(4.76 52.96)")
            expect(time.monotonic() - start < 2, answer, "others are answered meanwhile")
        for one in slow:
            one.settimeout(20)
            while one.recv(1000):
                pass
            one.close()
        # More connections than one address may have: the rest are refused, and later they are welcome again.
        many = [socket.create_connection((server.host, server.port)) for _ in range(450)]
        for one in many:
            one.close()
        server.wait("welcome", lambda: server.get("/health/live").status == 200)


def retention(folder):
    """Products beyond the size that is allowed go, the oldest first; the newest of a region stays; the catalogue follows."""
    frames = folder / "frames"
    frames.mkdir()
    config = watch_config(frames, now="2010-08-26T01:46Z") + "[retention]\nproducts_gb = 0.00025\n"
    server = Server(config, folder=folder)
    for hhmm in ("0125", "0130", "0135", "0140", "0145"):
        copy_frame(hhmm, frames)
        server.start()
        server.forecast("nl", f"{hhmm[:2]}:{hhmm[2:]}")
        server.stop()
    server.start()
    listed = lambda: server.get("/regions/nl/products").json()["products"]
    left = server.wait("retention", lambda: listed() if len(listed()) == 1 else None)
    on_disk = [p.name for p in (server.data / "products/nl").iterdir()]
    expect(left[0]["issue_time"] == "2010-08-26T01:45:00Z" and len(on_disk) == 1, server.get("/regions/nl/products"),
           f"the newest stays: {on_disk}")
    server.stop()


def clock_jumps(folder):
    """The system's clock is set back, forth and right again: nothing stops, nothing old is shown as new, nothing new is lost."""
    library = next(iter(sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
    if library is None:
        sys.exit("FAILED: Debian's package faketime is not installed")
    clock, arriving = folder / "clock", folder / "jumping"
    arriving.mkdir()

    def set_clock(time):
        (folder / "clock.new").write_text(f"@2010-08-{time}")
        os.rename(folder / "clock.new", clock)
    set_clock("26 02:00:30")
    environment = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "TZ": "UTC"}
    config = watch_config(arriving, more="max_age_min = 30").replace("start = 2010-08-26T02:00Z\nspeed = 1\n", "")
    with Server(config, folder, data="jumping-data", environment=environment) as server:
        for hhmm in ("0155", "0200"):
            copy_frame(hhmm, arriving)
        server.forecast("nl", "02:00")
        set_clock("26 01:00:00")
        server.wait("the clock that is set back", lambda: server.get("/status").json()["now"].startswith("2010-08-26T01:00"))
        copy_frame("0205", arriving)
        server.wait("a frame from the future", lambda: [e for e in server.events("frame") if e["result"] == "future"])
        answer = server.get("/regions/nl")
        expect(answer.json()["issue_time"] == "2010-08-26T02:00:00Z", answer, "what was there is still there")
        set_clock("26 02:05:20")
        copy_frame("0205", arriving)
        server.forecast("nl", "02:05")
        set_clock("27 02:05:20")
        server.wait("the end of what is too old", lambda: server.get("/regions/nl", status=None).status == 503)
        expect(server.get("/health/ready", status=None).status == 503, server.get("/health/ready", status=None), "nothing is ready")
        set_clock("26 02:10:20")
        copy_frame("0210", arriving)
        server.forecast("nl", "02:10")


def stopped(folder):
    """SIGTERM in the midst of a cycle: the process ends well and leaves whole products."""
    frames = folder / "frames"
    frames.mkdir()
    for hhmm in EARLY:
        copy_frame(hhmm, frames)
    with Server(watch_config(frames, region="", now="2010-08-26T01:41Z")) as server:
        server.wait("frames", lambda: results(server).get("new", 0) > 0)
        server.stop()
        left = [p.name for p in server.data.rglob("*") if p.name.startswith(".") or p.name.endswith("-journal")]
        if left:
            sys.exit(f"FAILED: left behind: {left}")


def main():
    for part in (arrivals, deadline, killed, reloaded, slow_clients, clock_jumps, retention, stopped):
        with tempfile.TemporaryDirectory() as folder:
            part(pathlib.Path(folder))
        print(part.__name__, "passed", flush=True)


if __name__ == "__main__":
    main()
