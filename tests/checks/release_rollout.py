"""New versions on their way into a real service, fed with real frames: good ones are promoted by themselves, and a broken, a slow,
a nonsensical, a useless one and a stranger's are each stopped where they should be. The service is killed at every step and goes on."""
import pathlib
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from program import KNMI, MODEL, RECIPE, SOURCE, SQUALL, WINDOW, check, frame, squall
from releases import Repository, other_weights
from server import Server, copy_frame, expect, watch_config

TIMES = [f"{h:02}{m:02}" for h in range(5) for m in range(0, 60, 5)]
LIMITS = "min_psnr_db = 15\nlatency_slack_ms = 200\nleast_events = 100\n"


class Service:
    """The service, the frames that it was given, and the operator beside it."""

    def __init__(self, folder, repository, limits):
        self.frames = folder / "frames"
        self.frames.mkdir()
        self.next = 24  # 02:00
        for hhmm in TIMES[self.next - 8:self.next]:
            copy_frame(hhmm, self.frames)
        self.repository = repository
        self.limits = limits
        self.server = Server(self.config(limits), folder=folder, unix=True)
        self.server.start()

    def config(self, limits):
        release = (f"[release]\nrepository = {self.repository.path}\nroots = {self.repository.roots}\n"
                   f"key = {self.repository.key('node')}\n{limits}")
        return (watch_config(self.frames, more="engines = rain\nleads_min = 5,10,15", source="future_s = 86400")
                + "[engine rain]\nmodel = drift\n" + release)

    def relimit(self, limits):
        """Other limits need a restart."""
        self.server.stop()
        self.limits = limits
        self.server.configure(self.config(limits))
        self.server.start()

    def order(self, verb, *options, code=0, says=()):
        return squall("release", verb, "rain", *options, "--socket", self.server.socket, "--json", code=code, says=says)

    def status(self):
        return self.order("status").json()["releases"][0]

    def feed(self):
        """The next frame; returns when its forecast is out."""
        hhmm = TIMES[self.next]
        self.next += 1
        copy_frame(hhmm, self.frames)
        self.server.forecast("nl", f"{hhmm[:2]}:{hhmm[2:]}")

    def until(self, what, holds, most=8):
        """Feed frames until the status is so; which it must be within `most` of them."""
        for _ in range(most):
            before = self.status()
            self.feed()
            limit = time.monotonic() + 5
            status = self.status()
            while not holds(status) and status["step"] == before["step"] and time.monotonic() < limit and (
                    status["analysis"]["candidate"]["runs"] <= before["analysis"]["candidate"]["runs"]):
                time.sleep(0.05)
                status = self.status()
            if holds(status):
                return status
        sys.exit(f"FAILED: not {what} after {most} frames: {status}\n{self.server.log()[-4000:]}")

    def kill(self):
        """As by the kernel; what it was in the middle of is there again."""
        before = self.status()
        self.server.kill()
        self.server.start()
        after = self.status()
        for key in ("stable", "candidate", "previous", "phase", "step", "steps", "history"):
            if before[key] != after[key]:
                sys.exit(f"FAILED: {key} was {before[key]} and is {after[key]} after the kill")
        return after

    def version(self):
        """That of the newest forecast, by the engine's series in the metrics."""
        return {m[0]: float(m[1]) for m in re.findall(r'squall_version_forecasts_total\{engine="rain",version="(\d+)"\} (\S+)',
                                                       self.server.get("/metrics").body.decode())}


def build(folder, name, model, *options):
    engine = folder / f"{name}.engine"
    squall("build", model, "--recipe", RECIPE, "--grid-of", frame("0000"), *(options or WINDOW), "--out", engine)
    return engine


def is_phase(phase, **more):
    return lambda s: s["phase"] == phase and all(s[k] == v for k, v in more.items())


def first_and_second(service, folder):
    """Nothing is in service: the first version goes there at once. The second has to earn it."""
    repository = service.repository
    repository.add(build(folder, "first", MODEL))
    service.order("start", code=1, says="has 0 of 1 approvals")
    repository.approve(1)
    before = service.server.get("/regions/nl", status=None)
    expect(before.status != 200 or before.json()["method"] == "extrapolation", before, "without a version rain is carried along")
    service.order("start")
    expect(service.status()["stable"] == 1, before, "the first version")
    service.feed()
    answer = service.server.get("/regions/nl")
    expect(answer.json()["method"] == "model", answer, "the first version forecasts")

    second = other_weights(folder / "second.onnx", lambda w: w * 1.02)
    repository.add(build(folder, "second", second), model=second, data="second")
    repository.approve(2)
    service.order("start", 2, "--steps", "shadow:2,regions:nl:2,weight:100:1,pause")
    status = service.kill()
    expect(status["candidate"] == 2 and status["step"] == 0, answer, "in its shadow step")
    service.order("start", 2, code=2, says="is on trial")
    service.feed()
    expect("2" not in service.version(), answer, "a shadow answers nobody")
    service.until("step 2", lambda s: s["step"] >= 1)
    service.kill()
    service.until("step 3", lambda s: s["step"] >= 2)
    expect(service.version().get("2", 0) > 0, answer, "the canary answers in its region")
    service.kill()
    service.until("paused", is_phase("Paused", step=3))
    status = service.kill()
    expect(status["phase"] == "Paused", answer, "paused it stays")
    service.feed()
    for version in "12":
        service.server.wait("series of both versions", lambda: f'squall_version_run_seconds_count{{engine="rain",version="{version}"}}'
                            in service.server.get("/metrics").body.decode())
    page = service.server.get("/releases").json()["releases"][0]
    expect(page["candidate"] == 2 and page["analysis"]["candidate"]["latency_p50_s"] > 0, answer, f"the page: {page}")
    service.order("promote")
    status = service.kill()
    expect(status["stable"] == 2 and status["phase"] == "Healthy" and status["previous"] == 1, answer, "promoted")
    service.order("undo")
    status = service.kill()
    expect(status["stable"] == 1, answer, "undone")
    service.order("undo")
    expect(service.status()["stable"] == 2, answer, "and the second again")
    service.order("promote", code=1, says="no version of it is on trial")


def by_itself(service, folder):
    """Automatic promotion, by skill on frames that came later."""
    third = other_weights(folder / "third.onnx", lambda w: w * 1.01)
    service.repository.add(build(folder, "third", third), model=third, data="third")
    service.repository.approve(3)
    service.order("start", "--steps", "shadow:2,weight:50:2")
    status = service.until("promoted", is_phase("Healthy", stable=3))
    expect([h["what"] for h in status["history"]][-2:] == ["start", "promote"], service.server.get("/releases"), "history")


def stopped(service, folder, number, name, model, options, says, steps="shadow:3,weight:50:3"):
    service.repository.add(build(folder, name, model, *options), model=model, data=name)
    service.repository.approve(number)
    service.order("start", number, "--steps", steps)
    status = service.until(f"{name} rolled back", is_phase("Degraded", candidate=0))
    expect(re.search(says, status["message"]), service.server.get("/releases"), f"{name}: {status['message']}")
    expect(status["step"] == 0 and status["stable"] == 3, service.server.get("/releases"), f"{name} was stopped in its shadow step")
    expect(str(number) not in service.version(), service.server.get("/metrics"), f"{name} answered nobody")
    service.kill()


def injected(service, folder):
    stranger = other_weights(folder / "stranger.onnx", lambda w: w * 1.03)
    service.repository.keyring("add", "--name", "eve", "--roles", "train", "--key", service.repository.folder / "stranger.pub")
    service.repository.add(build(folder, "stranger", stranger), model=stranger, data="a stranger's", key="stranger")
    service.repository.approve(4)
    service.repository.keyring("revoke", "--name", "eve", "--since", "2020-01-01T00:00Z", "--reason", "never was one of us")
    service.order("start", 4, code=1, says="never was one of us")
    engine = next((service.repository.path / "models/drift/2").glob("*.engine"))
    whole = engine.read_bytes()
    engine.chmod(0o644)
    engine.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    service.order("undo", code=1, says="is not the one that was signed")
    engine.write_bytes(whole)
    expect(service.status()["stable"] == 3, service.server.get("/releases"), "nothing happened")

    broken = other_weights(folder / "broken.onnx", lambda w: w * 1.04)
    stopped(service, folder, 5, "broken", broken, ("--window", "0,0,64,64"), "forecasts failed")
    service.relimit("min_psnr_db = 30\nlatency_slack_ms = 200\nleast_events = 100\n") # matched to the newest frame, nonsense keeps 22 dB
    nonsense = other_weights(folder / "nonsense.onnx", lambda w: abs(w) + 3.0)
    stopped(service, folder, 6, "nonsense", nonsense, (), "PSNR against the version in service")
    # How much slower the larger model is depends on the machine: it has to be twice as fast.
    service.relimit("min_psnr_db = -100\nlatency_slack_ms = 0.5\nmax_latency_ratio = 0.5\nmax_memory_ratio = 1000\nleast_events = 0\n")
    stopped(service, folder, 7, "slow", SOURCE / "models/default/model.onnx", (), "latency P50 is", steps="shadow:6")
    service.relimit("min_psnr_db = -100\nlatency_slack_ms = 500\nleast_events = 100\n")
    dry = other_weights(folder / "dry.onnx", lambda w: -abs(w))
    stopped(service, folder, 8, "useless", dry, (), "CSI is", steps="shadow:6")


def dry_weather(service, folder):
    """Too little rain to judge by is Inconclusive, which is no success: it waits, then pauses."""
    service.relimit("least_events = 100000000\nlatency_slack_ms = 500\npatience_s = 1\n")
    good = other_weights(folder / "good.onnx", lambda w: w * 1.015)
    service.repository.add(build(folder, "good", good), model=good, data="good")
    service.repository.approve(9)
    service.order("start", 9, "--steps", "shadow:1")
    service.until("Inconclusive", lambda s: s["verdict"] == "Inconclusive")
    time.sleep(1.5)  # its patience
    status = service.until("paused", is_phase("Paused", verdict="Inconclusive"))
    expect(status["stable"] == 3 and "wet cells" in status["message"], service.server.get("/releases"), "dry")
    service.order("abort", "--note", "no rain")
    expect(service.status()["phase"] == "Degraded", service.server.get("/releases"), "aborted by hand")
    shown = squall("release", "history", "--socket", service.server.socket)
    check("no rain" in shown.out and "promote" in shown.out, shown, "history")
    check("Degraded" in squall("release", "status", "--socket", service.server.socket).out, shown, "status")
    log = service.repository.release("log", "show", "--json")
    by_node = [e["what"] for e in log.json()["entries"] if e["by"] == "node"]
    check(by_node.count("promote") == 3 and by_node.count("abort") == 5 and by_node.count("undo") == 2, log, f"the ledger: {by_node}")


def cut_ledger(service):
    """A ledger that lost its end is not believed any more, nor a state that somebody changed."""
    path = service.repository.path / "trust/ledger"
    whole = path.read_bytes()
    path.write_bytes(b"".join(whole.splitlines(True)[:-1]))
    service.order("start", 9, code=1, says="lost its end")
    path.write_bytes(whole)
    service.server.stop()
    state = service.server.data / "releases.json"
    state.write_bytes(state.read_bytes().replace(b'"stable":3', b'"stable":8'))
    done = subprocess.run([str(SQUALL), "serve", "--config", str(service.server.ini)], capture_output=True, text=True, timeout=60)
    if done.returncode != 1 or "is not as the service wrote it" not in done.stderr:
        sys.exit(f"FAILED: a changed state was believed\n{done.stderr}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        service = Service(folder, Repository(folder), LIMITS)
        try:
            first_and_second(service, folder)
            by_itself(service, folder)
            injected(service, folder)
            dry_weather(service, folder)
            cut_ledger(service)
        except BaseException:
            print(service.server.log()[-5000:])
            raise
        finally:
            if service.server.process is not None:
                service.server.kill()
    print(f"good versions were promoted, bad ones stopped; {len(list(KNMI.iterdir()))} frames at hand")


if __name__ == "__main__":
    main()
