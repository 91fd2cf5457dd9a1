"""Two hundred switches of engines in a service that answers all the while: no request fails, and memory comes back to what it was."""
import pathlib
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from program import MODEL, RECIPE, WINDOW, frame, squall
from releases import Repository, other_weights
from server import Server, copy_frame, expect, watch_config

SWAPS = 200


def resident(server):
    for line in pathlib.Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024


class Client(threading.Thread):
    """Asks for the forecast at a point, over and over."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.times, self.bad, self.going = server, [], [], True

    def run(self):
        while self.going:
            start = time.monotonic()
            answer = self.server.get("/nowcast/point?lon=4.76&lat=52.96", status=None)
            self.times.append(time.monotonic() - start)
            if answer.status != 200:
                self.bad.append(answer.status)
            time.sleep(0.005)


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        repository = Repository(folder)
        for number, factor in ((1, 1.0), (2, 1.01)):
            model = other_weights(folder / f"{number}.onnx", lambda w: w * factor)
            engine = folder / f"{number}.engine"
            squall("build", model, "--recipe", RECIPE, "--grid-of", frame("0000"), *WINDOW, "--out", engine)
            repository.add(engine, model=model, data=f"version {number}")
            repository.approve(number)
        frames = folder / "frames"
        frames.mkdir()
        for hhmm in ("0130", "0140", "0145", "0150", "0155", "0200"):
            copy_frame(hhmm, frames)
        # Without a key the ledger is not written: it is switching that is looked at.
        config = (watch_config(frames, more="engines = rain", source="future_s = 86400") + "[engine rain]\nmodel = drift\n[release]\n"
                  f"repository = {repository.path}\nroots = {repository.roots}\n")
        (folder / "service").mkdir()
        with Server(config, folder=folder / "service", unix=True) as server:
            def order(verb, *more):
                return squall("release", verb, "rain", *more, "--socket", server.socket, "--json").json()["releases"][0]
            server.forecast("nl", "02:00")
            order("start", 1)
            order("start", 2)
            order("promote", "--full")
            copy_frame("0205", frames)
            server.forecast("nl", "02:05")
            client = Client(server)
            client.start()
            for _ in range(10):  # what a first switch makes stays
                order("undo")
            before, quiet = resident(server), len(client.times)
            for _ in range(SWAPS):
                status = order("undo")
            after = resident(server)
            client.going = False
            client.join()
            answer = server.get("/releases")
            expect(status["stable"] == 2, answer, "an even number of switches")
            expect(not client.bad and len(client.times) > quiet + SWAPS / 4, answer, f"{client.bad} of {len(client.times)} requests failed")
            # The allocator keeps some pages more or less; a context that stayed at each switch would be hundreds of megabytes.
            expect(after < before + 20, answer, f"memory was {before:.1f} MB and is {after:.1f} MB")
            copy_frame("0210", frames)
            server.forecast("nl", "02:10")
            cycles = {line["issue_time"]: line["total_s"] for line in server.events("forecast") if line["method"] == "model"}
            print(f"{SWAPS} switches: {len(client.times)} requests, none failed; P50 {1000 * sorted(client.times)[len(client.times) // 2]:.1f} ms, "
                  f"most {1000 * max(client.times):.1f} ms; memory {before:.1f} to {after:.1f} MB; cycles {cycles}")


if __name__ == "__main__":
    main()
