"""The pipeline on real frames, with a stand-in for the training: every stage, cut off and going on, failing where it should, and
the version at its end on trial in a real service. (training_smoke.sh holds the training itself.)"""
import json
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from program import KNMI, MODEL, RECIPE, SOURCE, check, squall
from releases import Repository, other_weights
from server import Server, copy_frame, watch_config

STAGES = ["dataset", "train", "export", "build", "compare", "skill", "sign", "add", "release"]


class Pipeline:
    def __init__(self, folder, repository, socket):
        self.folder, self.repository, self.socket = folder, repository, socket
        self.work = folder / "work"
        self.model = folder / "model.onnx"
        self.keys = dict(name="drift", work=self.work, archive=KNMI, recipe=RECIPE, window="200,260,160,128",
                         train_from="2010-08-26T00:00Z", train_to="2010-08-26T01:30Z", validate_from="2010-08-26T01:40Z",
                         validate_to="2010-08-26T02:00Z", evaluate_from="2010-08-26T03:00Z", evaluate_to="2010-08-26T03:40Z", every_s=2400,
                         dataset_command='cp "$PIPELINE_EVENTS" "$PIPELINE_WORK/dataset/"', train_command=f'cp {self.model} "$PIPELINE_WORK/training/"',
                         export_command='cp "$PIPELINE_WORK/training/model.onnx" "$PIPELINE_WORK/export/"', min_csi_gain="-0.05",
                         repository=repository.path, roots=repository.roots, train_key=repository.key("nightly"),
                         release_key=repository.key("alice"), socket=socket, engine="rain", steps="shadow:2,pause",
                         data="Source: KNMI (CC BY 4.0)", licence="Apache-2.0")

    def run(self, code=0, says=(), **change):
        ini = self.folder / "pipeline.ini"
        ini.write_text("[pipeline]\n" + "".join(f"{k} = {v}\n" for k, v in {**self.keys, **change}.items() if v is not None))
        return squall("pipeline", "run", ini, "--json", code=code, says=says, cwd=SOURCE)

    def stages(self, result):
        """What became of each stage, by the log."""
        lines = [json.loads(line) for line in result.err.splitlines() if line.startswith("{")]
        return {line["stage"]: line["what"] for line in lines if line["event"] == "stage"}


def configuration(pipeline):
    pipeline.run(code=1, says="learnt from says nothing", train_to="2010-08-26T03:10Z")
    pipeline.run(code=1, says="validate_from...validate_to and the evaluation", validate_to="2010-08-26T03:05Z")
    pipeline.run(code=1, says="less than an hour apart", validate_to="2010-08-26T02:01Z")
    pipeline.run(code=1, says="evaluate_to: 'soon' is no time", evaluate_to="soon")
    pipeline.run(code=1, says="there is no key 'colour'", colour="blue")
    pipeline.run(code=1, says="recipe must be given", recipe=None)
    squall("pipeline", code=2)
    squall("pipeline", "run", "/nothing/there", code=1)
    keys = squall("pipeline", "--keys")
    check(keys.out in (SOURCE / "docs/releases.md").read_text(), keys, "docs/releases.md holds the keys")


def first(pipeline):
    pipeline.model.write_bytes(MODEL.read_bytes())
    failed = pipeline.run(code=1, train_command="echo the disk is full >&2; false", says="the disk is full")
    check(pipeline.stages(failed) == {"dataset": "done", "train": "failed"}, failed, "it stops with what failed")
    report = json.loads((pipeline.work / "report.json").read_text())
    check(report["failed"]["stage"] == "train" and not report["good"], failed, "and says so in its report")
    check("stage train failed" in (pipeline.work / "report.html").read_text(), failed, "page")
    done = pipeline.run()
    what = done.json()
    check(list(what["stages"]) and all(s in what["stages"] for s in STAGES) and what["good"], done, "every stage")
    detail = {name: stage["detail"] for name, stage in what["stages"].items()}
    check(detail["build"]["how"] == {"cpu": "built"} and detail["compare"]["psnr_db"] > 40, done, "built and compared")
    check(len(detail["skill"]["held_back"]["new"]) == 12 and detail["add"]["version"] == 1, done, "scored and added")
    page = (pipeline.work / "report.html").read_text()
    check(page.count("<polyline") == 2 and "every stage is done; version 1" in page, done, "plots")
    again = pipeline.run()
    check(set(pipeline.stages(again).values()) == {"as before"}, again, "nothing is done twice")
    (pipeline.work / "engines/cpu.engine").write_bytes(b"cut off")
    repaired = pipeline.stages(pipeline.run())
    check(repaired["export"] == "as before" and repaired["build"] == "done" and repaired["sign"] == "as before", again,
          f"what is damaged is made again, and what it leads to is the same: {repaired}")


def second(pipeline, server):
    """Other weights of the same graph: refitted, held against the version in service, on trial."""
    other_weights(pipeline.model, lambda w: w * 1.01)
    command = dict(train_command=f'cp {pipeline.model} "$PIPELINE_WORK/training/model.onnx"')
    done = pipeline.run(**command)
    detail = {name: stage["detail"] for name, stage in done.json()["stages"].items()}
    check(detail["build"]["how"] == {"cpu": "refit"}, done, "the graph is the same: refitted")
    check(detail["skill"]["held_back"]["in_service"], done, "held against the version in service")
    status = squall("release", "status", "--socket", pipeline.socket, "--json")
    release = status.json()["releases"][0]
    check(release["stable"] == 1 and release["candidate"] == 2 and release["steps"] == "shadow:2,pause", status, "on trial")
    squall("release", "abort", "rain", "--socket", pipeline.socket)
    # One that forgot everything is stopped before anybody hears of it.
    other_weights(pipeline.model, lambda w: abs(w) + 3.0)
    bad = pipeline.run(code=1, says="mean CSI is", train_command=command["train_command"] + "; true")
    check(pipeline.stages(bad)["skill"] == "failed" and "add" not in pipeline.stages(bad), bad, "no skill")
    versions = pipeline.repository.model("list", "--json")
    check(len(versions.json()) == 2, versions, "nothing was added")
    after = squall("release", "status", "--socket", pipeline.socket, "--json").json()["releases"][0]
    check(after["stable"] == 1 and after["candidate"] == 0 and server.get("/regions/nl").json()["method"] == "model", status, "untouched")


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        repository = Repository(folder)
        frames = folder / "frames"
        frames.mkdir()
        for hhmm in ("0120", "0130", "0140", "0145", "0150", "0155", "0200"):
            copy_frame(hhmm, frames)
        config = (watch_config(frames, more="engines = rain") + "[engine rain]\nmodel = drift\n[release]\n"
                  f"repository = {repository.path}\nroots = {repository.roots}\nkey = {repository.key('node')}\n")
        (folder / "service").mkdir()
        with Server(config, folder=folder / "service", unix=True) as server:
            pipeline = Pipeline(folder, repository, server.socket)
            configuration(pipeline)
            first(pipeline)
            copy_frame("0205", frames)
            server.forecast("nl", "02:05")
            second(pipeline, server)
        repository.model("verify")
    print("from the archive to the service")


if __name__ == "__main__":
    main()
