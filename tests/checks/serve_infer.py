"""The Open Inference Protocol by the real tritonclient, held against ONNX's own reference; and requests that are wrong."""
import gzip
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from pypi import python_with

if importlib.util.find_spec("tritonclient") is None:
    python = python_with("infer-venv", "tritonclient==2.73.0", "gevent==26.9.0", "geventhttpclient==2.6.1", "python-rapidjson==1.25", "onnx==1.23.2")
    os.execv(python, [str(python), __file__])

import numpy as np
import onnx
import onnx.reference
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException
from program import MODEL, RECIPE, SQUALL, build_engine, squall
from server import Server, expect, watch_config, wrong

HEADER = "Inference-Header-Content-Length"


def make_key():
    said = subprocess.run([str(SQUALL), "serve", "--make-key"], capture_output=True, text=True, check=True).stdout.split()
    return said[1], said[3]


def refused(call, *says):
    try:
        call()
    except InferenceServerException as problem:
        for text in says:
            if text not in str(problem):
                sys.exit(f"FAILED: '{problem}' must say '{text}'")
        return
    sys.exit(f"FAILED: {says} was not refused")


def holds(what, truth):
    if not truth:
        sys.exit(f"FAILED: {what}")


def metadata(client):
    holds("live and ready", client.is_server_live() and client.is_server_ready() and client.is_model_ready("drift"))
    holds("not ready: there is none of that name", not client.is_model_ready("nothing"))
    server = client.get_server_metadata()
    holds(f"extensions {server}", {"binary_tensor_data", "model_repository", "model_configuration", "statistics"} <= set(server["extensions"]))
    said = client.get_model_metadata("drift")
    holds(f"{said}", said["name"] == "drift" and said["versions"] == ["1"] and said == client.get_model_metadata("drift", "1"))
    one, out = said["inputs"][0], said["outputs"][0]
    holds(f"{said}", (one["name"], one["datatype"], len(one["shape"])) == ("x", "FP32", 4) and (out["name"], out["datatype"]) == ("y", "FP32"))
    config = client.get_model_config("drift")
    holds(f"{config}", config["input"][0]["data_type"] == "TYPE_FP32" and config["input"][0]["dims"] == one["shape"] and config["max_batch_size"] == 0)
    refused(lambda: client.get_model_metadata("nothing"), "there is no model 'nothing'")
    refused(lambda: client.get_model_metadata("drift", "2"), "of version 2")
    return [d if d > 0 else 1 for d in one["shape"]]


def ask(client, x, binary_in=True, binary_out=True, name="x", headers=None, outputs=True, **more):
    given = triton.InferInput(name, list(x.shape), {"float32": "FP32", "float64": "FP64"}[str(x.dtype)])
    given.set_data_from_numpy(x, binary_data=binary_in)
    wanted = [triton.InferRequestedOutput("y", binary_data=binary_out)] if outputs else None
    return client.infer("drift", [given], outputs=wanted, headers=dict(headers or {}), **more)  # it writes into the headers it is given


def infer(client, shape, key):
    x = np.random.default_rng(7).uniform(0, 5, shape).astype(np.float32)
    expected = onnx.reference.ReferenceEvaluator(onnx.load(MODEL)).run(None, {"x": x})[0]
    refused(lambda: ask(client, x), "401")  # reading is open to all, inferring is not
    keyed = {"X-API-Key": key}
    got = ask(client, x, headers=keyed, request_id="seven")
    y = got.as_numpy("y")
    holds("values as ONNX's reference has them", y.shape == expected.shape and np.allclose(y, expected, rtol=1e-4, atol=1e-6))
    holds(f"{got.get_response()['id']}", got.get_response()["id"] == "seven" and got.get_response()["model_version"] == "1")
    for binary_in, binary_out in ((True, False), (False, True), (False, False)):
        other = ask(client, x, binary_in, binary_out, headers=keyed).as_numpy("y")
        holds(f"the same by JSON ({binary_in}, {binary_out})", np.array_equal(other, y))
    holds("all outputs where none are named", np.array_equal(ask(client, x, outputs=False, headers=keyed).as_numpy("y"), y))
    holds("by version", np.array_equal(ask(client, x, headers=keyed, model_version="1").as_numpy("y"), y))
    holds("a packed answer", np.array_equal(ask(client, x, True, False, headers=keyed, response_compression_algorithm="gzip").as_numpy("y"), y))
    refused(lambda: ask(client, x.astype(np.float64), headers=keyed), "input 'x' is FP64, and must be FP32")
    refused(lambda: ask(client, x, name="z", headers=keyed), "input 'x' is missing")
    refused(lambda: ask(client, x[:, :2], headers=keyed), "400")
    refused(lambda: client.infer("drift", [], headers=keyed), "inputs")
    return x, y


def side_by_side(address, x, y, key):
    """Many at once, each with its own answer."""
    wrongs = []

    def work(n):
        client = triton.InferenceServerClient(address)
        for k in range(10):
            scale = np.float32(1 + (n + k) % 3)
            got = ask(client, x * scale, headers={"X-API-Key": key}).as_numpy("y")
            if k == 0:
                first[n % 3] = got
            if (n + k) % 3 == 0 and not np.array_equal(got, y):
                wrongs.append((n, k))
        client.close()
    first = {}
    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    holds(f"answers of others: {wrongs}", wrongs == [] and len(first) == 3)


def batches(server, client, x, y, key):
    """Requests that wait together are one run; the server answers others meanwhile, and counts truly."""
    before = client.get_inference_statistics("together")["model_stats"][0]
    answers = []

    def work():
        given = triton.InferInput("x", list(x.shape), "FP32")
        given.set_data_from_numpy(x)
        with triton.InferenceServerClient(f"{server.host}:{server.port}") as mine:
            answers.append(mine.infer("together", [given], headers={"X-API-Key": key}).as_numpy("y"))
    threads = [threading.Thread(target=work) for _ in range(3)]
    for t in threads:
        t.start()
    server.wait("requests in the queue", lambda: 'squall_infer_queue_requests{model="together"} 3' in server.get("/metrics").body.decode(), 20)
    threads.append(threading.Thread(target=work))  # the fourth fills the run
    threads[3].start()
    for t in threads:
        t.join()
    holds("each its own answer", len(answers) == 4 and all(np.allclose(a, y, rtol=1e-5, atol=1e-6) for a in answers))
    after = client.get_inference_statistics("together")["model_stats"][0]
    sizes = {b["batch_size"]: b["compute_infer"]["count"] for b in after["batch_stats"]}
    holds(f"a run of four {sizes}", sizes == {4: 1} and sum(n * k for n, k in sizes.items()) == after["inference_count"] - before["inference_count"])
    holds(f"{after}", after["execution_count"] == sum(sizes.values()) < after["inference_count"])
    text = server.get("/metrics").body.decode()
    holds(text, f'squall_infer_requests_total{{model="together",result="ok"}} {after["inference_count"]}' in text)
    holds(text, 'squall_infer_stage_seconds_bucket{model="together",stage="queue",le="+Inf"}' in text)


def full(server, x, key):
    """A queue that is full says so, and when to come again."""
    document = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": list(x.shape), "parameters": {"binary_data_size": x.nbytes}}]}).encode()
    statuses = []

    def work():
        answer = server.get("/v2/models/narrow/infer", method="POST", body=document + x.tobytes(), status=None,
                            headers={"X-API-Key": key, HEADER: str(len(document))})
        statuses.append((answer.status, answer.headers.get("Retry-After")))
    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    holds(f"{statuses}", sorted(statuses, key=str) == [(200, None), (200, None), (503, "1"), (503, "1")])


def statistics(client, runs):
    stats = client.get_inference_statistics("drift")["model_stats"][0]
    counted = stats["inference_stats"]
    holds(f"{stats}", stats["name"] == "drift" and stats["inference_count"] == counted["success"]["count"] >= runs)
    holds(f"{stats}", counted["fail"]["count"] >= 4 and counted["compute_infer"]["ns"] > 0 and stats["last_inference"] > 1.6e12)
    holds(f"{stats}", counted["success"]["ns"] >= counted["compute_infer"]["ns"])
    holds("of all models", [s["name"] for s in client.get_inference_statistics()["model_stats"]] == ["drift", "gone", "together", "narrow"])


def repository(client, server, key, operator, x, y, engine, folder):
    index = {m["name"]: m for m in client.get_model_repository_index()}
    holds(f"{index}", index["drift"]["state"] == "READY" and index["gone"]["state"] == "UNAVAILABLE" and index["gone"]["reason"] != "")
    holds("not every model is ready", not client.is_server_ready() and not client.is_model_ready("gone"))
    refused(lambda: client.load_model("gone", headers={"X-API-Key": key}), "403")
    operate = {"X-API-Key": operator}
    refused(lambda: client.load_model("gone", headers=operate), "gone")
    shutil.copy(engine, folder / "gone.engine")
    client.load_model("gone", headers=operate)
    holds("loaded", client.is_model_ready("gone") and client.is_server_ready())
    client.unload_model("drift", headers=operate)
    holds("unloaded", not client.is_model_ready("drift") and client.is_server_ready())
    refused(lambda: ask(client, x, headers={"X-API-Key": key}), "not ready")
    client.load_model("drift", headers=operate)
    holds("the same again", np.array_equal(ask(client, x, headers={"X-API-Key": key}).as_numpy("y"), y))
    refused(lambda: client.load_model("drift", headers=operate, config="{}"), "neither config nor files")
    refused(lambda: client.load_model("nothing", headers=operate), "there is no such model")


def malformed(server, key, x):
    """Each is refused with words and 400 or so; none harms the server."""
    path = "/v2/models/drift/infer"
    size = x.nbytes
    one = {"name": "x", "datatype": "FP32", "shape": list(x.shape), "parameters": {"binary_data_size": size}}

    def post(body, status, says, **headers):
        names = {"length": HEADER, "encoding": "Content-Encoding"}
        answer = server.get(path, method="POST", body=body, status=status, headers={"X-API-Key": key, **{names[k]: v for k, v in headers.items()}})
        expect(says in answer.json()["error"], answer, f"it must say '{says}'")

    def binary(document, tail, status, says):
        text = json.dumps(document).encode()
        post(text + tail, status, says, length=str(len(text)))
    data = x.tobytes()
    post(b"", 400, "it is empty")
    post(b"{", 400, "is no JSON")
    post(b"[]", 400, "must be an object")
    post(b'{"inputs":[],"inputs":[]}', 400, "is no JSON")
    post(b'{"inputs":[1]}', 400, "must have a name")
    post(b"[" * 5000, 400, "is no JSON")
    for length in ("", "-1", "x", "1x", "99999999999999999999999", "3"):
        post(b"{}", 400, "must be the length", length=length)
    binary({"inputs": [one]}, data[:-1], 400, "ends 1 bytes before")
    binary({"inputs": [one]}, data + b"!", 400, "1 bytes follow the last tensor")
    binary({"inputs": [{**one, "parameters": {"binary_data_size": size - 4}}]}, data, 400, "must be the")
    binary({"inputs": [{**one, "parameters": {"binary_data_size": -1}}]}, data, 400, "must be the")
    binary({"inputs": [{**one, "data": [1]}]}, data, 400, "has both")
    binary({"inputs": [one, one]}, data, 400, "is given twice")
    binary({"inputs": [{**one, "datatype": "BYTES"}]}, data, 400, "datatype must be")
    binary({"inputs": [{**one, "shape": [-1, 2]}]}, data, 400, "shape[0]")
    binary({"inputs": [{**one, "shape": [1] * 9}]}, data, 400, "at most 8")
    binary({"inputs": [{**one, "shape": [2 ** 62, 2 ** 62]}]}, data, 413, "at most")
    binary({"inputs": [{**one, "shape": [2 ** 40]}]}, data, 413, "at most")
    binary({"inputs": [one], "outputs": [{"name": "q"}]}, data, 400, "has no output 'q'")
    binary({"inputs": [one], "outputs": [{"name": "y", "parameters": {"classification": 3}}]}, data, 400, "classification is not offered")
    plain = {"name": "x", "datatype": "FP32", "shape": [1, 3]}
    post(json.dumps({"inputs": [{**plain, "data": [1, 2]}]}), 400, "data has 2 of the 3 values")
    post(json.dumps({"inputs": [{**plain, "data": [1, 2, 3, 4]}]}), 400, "data has more than the 3 values")
    post(json.dumps({"inputs": [{**plain, "data": [1, "2", 3]}]}), 400, "data[1] is no FP32")
    post(json.dumps({"inputs": [{**plain, "datatype": "UINT8", "data": [1, 256, 3]}]}), 400, "data[1]: 256 is no UINT8")
    post(json.dumps({"inputs": [{**plain, "datatype": "FP16", "data": [1, 2, 3]}]}), 400, "no form in JSON")
    post(json.dumps({"inputs": [{**plain, "data": [[[[[[[[[[[1]]]]]]]]]]]}]}), 400, "nested more than")
    post(json.dumps({"inputs": [plain]}), 400, "must have data")
    post(gzip.compress(b"{}"), 415, "must not be compressed", encoding="gzip")
    got = server.get("/v2/models/drift/infer", status=405)
    expect(got.headers["Allow"] == "POST, OPTIONS", got, "405 says what is allowed")
    holds("both spellings", server.get("/v2").json() == server.get("/v2/").json())


def open_batch(folder):
    """An engine of the same network, whose batch is open."""
    squall("build", MODEL, "--recipe", RECIPE, "--profile", "x=1:4:32x5x128x160", "--out", folder / "open.engine")
    return folder / "open.engine"


def main():
    key, digest = make_key()
    operator, operator_digest = make_key()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "in").mkdir()
        engine, opened = build_engine(folder), open_batch(folder)
        config = watch_config(folder / "in", more="engines = drift, gone") + f"""
[engine drift]
file = {engine}
[engine gone]
file = {folder}/gone.engine
[engine together]
file = {opened}
batch = 4
queue_delay_ms = 10000
[engine narrow]
file = {opened}
batch = 8
queue = 2
queue_delay_ms = 3000
[limits]
operate_tcp = yes
[key caller]
role = infer
hash = {digest}
[key operator]
role = operate
hash = {operator_digest}
"""
        shutil.copy(engine, folder / "gone.engine")
        with Server(config, folder) as server:
            address = f"{server.host}:{server.port}"
            client = triton.InferenceServerClient(address, concurrency=2)
            shape = metadata(client)
            x, y = infer(client, shape, key)
            side_by_side(address, x, y, key)
            batches(server, client, x, y, key)
            full(server, x, key)
            malformed(server, key, x)
            statistics(client, 60)
            holds("what is wrong does no harm", np.array_equal(ask(client, x, headers={"X-API-Key": key}).as_numpy("y"), y))
            client.close()
            server.stop()
            (folder / "gone.engine").unlink()
            server.start()
            client = triton.InferenceServerClient(f"{server.host}:{server.port}")
            repository(client, server, key, operator, x, y, engine, folder)
            client.close()
    print("tritonclient is served")


main()
