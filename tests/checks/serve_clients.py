"""Other people's clients and validators on the real server: OWSLib, covjson-pydantic, edr-pydantic, openapi-spec-validator,
schemathesis, promtool.

The packages of PyPI go into $SQUALL_BUILD/venv-clients; without PyPI and without an earlier environment the exit code is 77,
"skipped". promtool is of Debian's package prometheus.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))

PACKAGES = ("covjson-pydantic==0.8.0", "edr-pydantic==0.7.0", "OWSLib==0.35.0", "openapi-spec-validator==0.9.0",
            "schemathesis==4.32.5")
VENV = pathlib.Path(os.environ.get("SQUALL_BUILD", "build")).resolve() / "venv-clients"


def skip(reason):
    print(f"SKIPPED: the service was not checked with other people's clients: {reason}")
    sys.exit(77)


def enter_environment():
    """Go on in an interpreter that has the packages; make one where there is none."""
    python = VENV / "bin/python"
    if pathlib.Path(sys.prefix) == VENV:
        return
    wanted = [p.split("==") for p in PACKAGES]
    have = f"import importlib.metadata as m, sys\nsys.exit(any(m.version(n) != v for n, v in {wanted!r}))"
    if not python.exists():
        if subprocess.run([sys.executable, "-m", "venv", str(VENV)]).returncode:
            skip("no virtual environment can be made")
    if subprocess.run([python, "-c", have], stderr=subprocess.DEVNULL).returncode:
        done = subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES])
        if done.returncode:
            skip("PyPI cannot be reached")
    os.execv(python, [str(python), __file__])


def documents(server):
    """Every document by its own validator."""
    from covjson_pydantic.coverage import Coverage, CoverageCollection
    from edr_pydantic.capabilities import ConformanceModel, LandingPageModel
    from edr_pydantic.collections import Collection, Collections, Instances
    LandingPageModel.model_validate_json(server.get("/").body)
    ConformanceModel.model_validate_json(server.get("/conformance").body)
    Collections.model_validate_json(server.get("/collections").body)
    Instances.model_validate_json(server.get("/collections/nl/instances").body)
    for name in ("nl", "nl-observed"):
        Collection.model_validate_json(server.get(f"/collections/{name}").body)
    point, box = "POINT(4.76 52.96)", "4.7,52.9,4.8,53.0"
    polygon = "POLYGON((4.7 52.9,4.8 52.9,4.8 53,4.7 52.9))"
    covers = 0
    for collection in ("nl", "nl-observed"):
        for path, query in (("position", {"coords": point}), ("cube", {"bbox": box}), ("area", {"coords": polygon}),
                            ("radius", {"coords": point, "within": 5, "within_units": "km"}),
                            ("trajectory", {"coords": "LINESTRINGM(4.7 52.9 1282788300,4.8 53 1282790100)"}),
                            ("locations/helder", {})):
            answer = server.get(f"/collections/{collection}/{path}", **query)
            answer.json()  # as the standard has it: no NaN
            Coverage.model_validate_json(answer.body)
            covers += 1
        for path, query in (("position", {"coords": "MULTIPOINT(4.76 52.96,4.8 52.9)"}),
                            ("trajectory", {"coords": "LINESTRING(4.7 52.9,4.8 53)"})):
            CoverageCollection.model_validate_json(server.get(f"/collections/{collection}/{path}", **query).body)
            covers += 1
    return covers


def owslib(server):
    from owslib.ogcapi.edr import EnvironmentalDataRetrieval
    client = EnvironmentalDataRetrieval(server.address)
    assert set(client.data()) == {"nl", "nl-observed"}, client.data()
    assert client.collection("nl")["parameter_names"]["rainrate"]["unit"]["symbol"]["value"] == "mm/h"
    assert client.api()["openapi"].startswith("3.0")
    answer = client.query_data("nl", "position", coords="POINT(4.76 52.96)", parameter_names=["rainrate"],
                                          datetime_="2010-08-26T02:30:00Z/..")
    times = answer["domain"]["axes"]["t"]["values"]
    assert times[0] == "2010-08-26T02:30:00Z" and list(answer["ranges"]) == ["rainrate"], answer
    cube = client.query_data("nl", "cube", bbox=[4.7, 52.9, 4.8, 53.0], parameter_names=["rainrate"])
    assert cube["domain"]["domainType"] == "Grid", cube


def prometheus(server):
    """promtool finds nothing in the text, and prometheus_client's own forms are OpenMetrics."""
    if shutil.which("promtool") is None:
        return "without promtool"
    done = subprocess.run(["promtool", "check", "metrics"], input=server.get("/metrics").body, capture_output=True)
    if done.returncode:
        sys.exit(f"FAILED: promtool\n{done.stdout.decode()}{done.stderr.decode()}")
    return "with promtool"


def openapi(server, folder):
    """The document is valid, and true: what it says may be asked is answered as it says."""
    from openapi_spec_validator import validate
    document = server.get("/api").json()
    validate(document)
    path = folder / "openapi.json"
    path.write_text(json.dumps(document))
    done = subprocess.run([str(VENV / "bin/st"), "run", str(path), "--url", server.address, "--seed", "1", "--workers", "1",
                           "--max-examples", "12", "--exclude-path", "/events", "--exclude-checks",
                           "positive_data_acceptance", "--request-timeout", "20"],
                          capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"}, cwd=folder)
    if done.returncode:
        sys.exit(f"FAILED: schemathesis\n{done.stdout[-60000:]}{done.stderr[-2000:]}")
    return len(document["paths"])


def main():
    enter_environment()
    from server import Server, copy_frame, watch_config
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        frames = work / "frames"
        frames.mkdir()
        for hhmm in ("0140", "0145", "0150", "0155", "0200"):
            copy_frame(hhmm, frames)
        with Server(watch_config(frames)) as server:
            server.forecast("nl", "02:00")
            covers = documents(server)
            owslib(server)
            paths = openapi(server, work)
            seen = prometheus(server)
            server.get("/health/ready")
    print(f"{covers} coverages, {paths} paths, metrics {seen}")


if __name__ == "__main__":
    main()
