"""bench/peers_engine.py - one engine with one model in a process of its own, run as bench/peers asks.

    python peers_engine.py JOB.json

JOB: {"engine", "model", "input", "reference", "threads", "precision", "library", "limit_s"}. Loads the model, runs
it once and prints a line of JSON: version, load_ms (without the import of the package), peak memory above what the
interpreter with numpy and the input took before, and how far its output is from the reference. Then each line "N"
on standard input is answered by the times of at least N runs, in ms.
"""
import ctypes as c
import json
import os
import pathlib
import resource
import sys
import time

import numpy as np


class Tensor(c.Structure):
    _fields_ = [("dtype", c.c_int), ("layout", c.c_int), ("rank", c.c_uint32), ("dims", c.c_int64 * 8),
                ("data", c.c_void_p)]

    @classmethod
    def of(cls, array):
        tensor = cls(dtype=1, layout=0, rank=array.ndim, data=array.ctypes.data)
        tensor.dims[:array.ndim] = array.shape
        return tensor


class Error(c.Structure):
    _fields_ = [("code", c.c_int), ("where", c.c_char * 128), ("text", c.c_char * 384)]


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def open_squall(job, x):
    lib = c.CDLL(job["library"])
    y = np.empty_like(np.load(job["reference"], mmap_mode="r"))
    engine, context, err = c.c_void_p(), c.c_void_p(), Error()

    def check(status):
        if status != 0:
            raise RuntimeError(f"{err.where.decode()}: {err.text.decode()}")

    start = time.perf_counter()
    check(lib.squall_engine_open(job["model"].encode(), None, c.byref(engine), None, c.byref(err)))
    inputs, outputs = Tensor.of(x), Tensor.of(y)
    check(lib.squall_context_create_for(engine, c.byref(inputs), c.c_size_t(1), job["threads"], c.byref(context),
                                        c.byref(err)))

    def run():
        check(lib.squall_context_run(context, c.byref(inputs), c.c_size_t(1), c.byref(outputs), c.c_size_t(1),
                                     c.byref(err)))
        return y
    return "", start, run


def open_ort(job, x):
    import onnxruntime as ort
    start = time.perf_counter()
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = job["threads"], 1, 3
    session = ort.InferenceSession(job["model"], options, providers=["CPUExecutionProvider"])
    return ort.__version__, start, lambda: session.run(None, {"x": x})[0]


def open_openvino(job, x):
    import openvino as ov
    start = time.perf_counter()
    hint = {"bf16": "bf16", "fp16": "f16"}.get(job["precision"], "f32")
    compiled = ov.Core().compile_model(job["model"], "CPU", {
        "INFERENCE_NUM_THREADS": job["threads"], "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1",
        "INFERENCE_PRECISION_HINT": hint})
    request = compiled.create_infer_request()
    request.set_input_tensor(ov.Tensor(x, shared_memory=True))

    def run():
        request.infer()
        return request.get_output_tensor(0).data
    return ov.__version__, start, run


def open_ncnn(job, x):
    import importlib.metadata
    import ncnn
    start = time.perf_counter()
    net = ncnn.Net()
    net.opt.num_threads = job["threads"]
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = job["precision"] == "fp16"
    net.opt.use_bf16_storage = job["precision"] == "bf16"
    if net.load_param(job["model"] + ".param") != 0 or net.load_model(job["model"] + ".bin") != 0:
        raise RuntimeError("ncnn could not load what pnnx made")
    mats = [ncnn.Mat(image) for image in x]  # its tensors have no batch

    def run():
        made = []
        for mat in mats:
            extractor = net.create_extractor()
            extractor.input("in0", mat)
            status, out = extractor.extract("out0")
            if status != 0:
                raise RuntimeError(f"ncnn stopped with {status}")
            made.append(np.array(out))
        return np.stack(made)
    return importlib.metadata.version("ncnn"), start, run


OPEN = {"squall": open_squall, "onnxruntime": open_ort, "openvino": open_openvino, "ncnn": open_ncnn}


def psnr(y, reference):
    """In dB of the reference's range; None when it is the same bit for bit, 0 when it is no number."""
    mse = float(((y.astype(np.float64) - reference) ** 2).mean())
    span = float(reference.max() - reference.min())
    if not np.isfinite(mse):
        return 0.0
    return 10 * float(np.log10(span ** 2 / mse)) if mse > 0 else None


def main():
    job = json.loads(pathlib.Path(sys.argv[1]).read_text())
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the packages print is not an answer
    x = np.ascontiguousarray(np.load(job["input"]))
    before_mb = peak_mb()
    version, start, run = OPEN[job["engine"]](job, x)
    load_ms = (time.perf_counter() - start) * 1e3
    y = run()
    memory_mb = peak_mb() - before_mb
    reference = np.load(job["reference"])
    db = psnr(np.asarray(y, np.float32).reshape(reference.shape), reference)
    print(json.dumps({"version": version, "load_ms": load_ms, "memory_mb": memory_mb, "psnr_db": db}), file=answer, flush=True)
    for line in sys.stdin:
        times, end = [], time.perf_counter() + job["limit_s"]
        while len(times) < int(line) or (time.perf_counter() < end and len(times) < 200):
            begin = time.perf_counter()
            run()
            times.append((time.perf_counter() - begin) * 1e3)
        print(json.dumps(times), file=answer, flush=True)


if __name__ == "__main__":
    main()
