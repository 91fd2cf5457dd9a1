"""Models that ask for too much: refused with words, or compiled and run, in bounded time and memory; never a crash."""
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from onnx_bytes import (BOOL, FLOAT, INT64, graph, info, int64s, model, node, number, tensor, text, varint)
from program import SQUALL, Result, fail

SECONDS = 60  # of one command, on a machine that has other things to do
MEMORY = 1 << 30  # bytes of address space

HUGE = 2**31  # a side; two of them are 2^62 elements


def squall(*arguments, code, says=(), memory=MEMORY):
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    start = time.monotonic()
    command = [str(SQUALL), *map(str, arguments)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, preexec_fn=limit,
                              env={**os.environ, "OMP_NUM_THREADS": "1"})
    except subprocess.TimeoutExpired:
        sys.exit(f"FAILED: no end within {SECONDS} s\n$ {' '.join(command)}")
    result = Result(done)
    if "--verbose" in sys.argv:
        print("   ", result.err.strip())
    if result.code != code:
        fail(result, f"exit code {code} was expected")
    for words in (says,) if isinstance(says, str) else says:
        if words not in result.err + result.out:
            fail(result, f"it must say '{words}'")
    return time.monotonic() - start


def main(folder):
    engine = folder / "e.engine"
    count = 0

    def write(name, data):
        path = folder / f"{name}.onnx"
        path.write_bytes(data)
        return path

    def refused(name, data, *says, options=()):
        nonlocal count
        took = squall("build", write(name, data), "--threads", 1, *options, "--out", engine, code=1,
                      says=(f"{name}.onnx" if not options else "", *says))
        assert not engine.exists(), name
        count += 1
        print(f"{name}: refused in {took:.2f} s")

    def runs(name, data, *options):
        nonlocal count
        took = squall("build", write(name, data), "--threads", 1, "--out", engine, *options, code=0)
        ran = squall("bench", "--runs", 1, "--threads", 1, engine, code=0)
        squall("inspect", "--layers", engine, code=0)
        engine.unlink()
        count += 1
        print(f"{name}: built in {took:.2f} s, ran in {ran:.2f} s")

    x, y = [info("x", [2, 3])], [info("y", [2, 3])]

    # ---- 10,000 nodes: a chain, a fan, one value used by all.
    nodes = 10000
    chain = [node("Sin", [f"v{i}" if i else "x"], [f"v{i + 1}" if i + 1 < nodes else "y"]) for i in range(nodes)]
    runs("chain", model(graph(chain, x, y)))
    runs("chain_backwards", model(graph(chain[::-1], x, y)))
    fan = [node("Sin", ["x"], [f"f{i}"]) for i in range(nodes // 2)]
    fan += [node("Add", [f"f{i}", f"s{i}" if i else "x"], [f"s{i + 1}" if i + 1 < nodes // 2 else "y"])
            for i in range(nodes // 2)]
    runs("fan", model(graph(fan, x, y)))
    folded = [node("Sin", ["w" if not i else f"v{i}"], [f"v{i + 1}"]) for i in range(nodes - 1)]
    folded += [node("Add", ["x", f"v{nodes - 1}"], ["y"])]
    runs("folded", model(graph(folded, x, y, [tensor("w", [2, 3], FLOAT, bytes(24))])))
    many = [node("Sin", ["x"], [f"u{i}"]) for i in range(65536)] + [node("Sin", ["x"], ["y"])]
    refused("too_many_nodes", model(graph(many, x, y)), "65537 nodes", "SQUALL_E_LIMIT")

    # ---- A cycle.
    ring = [node("Add", ["x", "c"], ["a"]), node("Sin", ["a"], ["b"]), node("Sin", ["b"], ["c"]),
            node("Sin", ["c"], ["y"])]
    refused("cycle", model(graph(ring, x, y)), "SQUALL_E_CORRUPT", "cycle")
    refused("cycle_of_one", model(graph([node("Add", ["x", "y"], ["y"])], x, y)), "SQUALL_E_CORRUPT", "cycle")

    # ---- A tensor of 2^62 elements: as input, as weight, as what a node makes.
    one = [info("x", [1])]
    out = [info("y", ["n"])]
    refused("input_2_62", model(graph([node("Sin", ["x"], ["y"])], [info("x", [HUGE, HUGE])], out)), "SQUALL_E_LIMIT")
    refused("weight_2_62", model(graph([node("Add", ["x", "w"], ["y"])], one, out,
                                       [tensor("w", [HUGE, HUGE], FLOAT, b"")])), "SQUALL_E_LIMIT")
    refused("weight_overflows", model(graph([node("Add", ["x", "w"], ["y"])], one, out,
                                            [tensor("w", [2**62, 2**62, 16], FLOAT, b"")])), "SQUALL_E_LIMIT")
    for name, body, weight in (
            ("expand", node("Expand", ["x", "s"], ["y"]), int64s("s", HUGE, HUGE)),
            ("constant_of_shape", node("ConstantOfShape", ["s"], ["t"]), int64s("s", HUGE, HUGE)),
            ("tile", node("Tile", ["x", "s"], ["y"]), int64s("s", 2**62)),
            ("resize", node("Resize", ["i", "", "", "s"], ["y"]), int64s("s", 1, 1, HUGE, HUGE)),
            ("pad", node("Pad", ["x", "s"], ["y"]), int64s("s", 2**61, 2**61))):
        ports = one if name != "resize" else [info("i", [1, 1, 2, 2])]
        graph_nodes = [body] if name != "constant_of_shape" else [body, node("Add", ["x", "t"], ["y"])]  # makes t
        refused(f"{name}_2_62", model(graph(graph_nodes, ports, out, [weight])), options=("--json",))
    refused("range_2_62", model(graph([node("Range", ["a", "b", "c"], ["r"]), node("Add", ["x", "r"], ["y"])],
                                      [info("x", [1], INT64)], [info("y", ["n"], INT64)],
                                      [tensor(n, [], INT64, v.to_bytes(8, "little"))
                                       for n, v in (("a", 0), ("b", 2**62), ("c", 1))])), options=("--json",))

    # ---- A Loop without end.
    def loop(inputs, body_nodes, weights=(), state=FLOAT):
        body = graph(body_nodes, [info("i", [], INT64), info("c", [], BOOL), info("s", [2, 3], state)],
                     [info("c2", [], BOOL), info("s2", [2, 3], state)])
        return model(graph([node("Loop", inputs, ["y"], body=body)], x, y, weights))

    forever = [node("Identity", ["c"], ["c2"]), node("Sin", ["s"], ["s2"])]
    true = tensor("t", [], BOOL, b"\x01")
    refused("loop_without_end", loop(["", "t", "x"], forever, [true]), "Loop", "1024 rounds", options=("--json",))
    refused("loop_without_condition", loop(["", "", "x"], forever), "Loop", options=("--json",))
    refused("loop_2_62", loop(["n", "t", "x"], forever, [true, tensor("n", [], INT64, (2**62).to_bytes(8, "little"))]),
            "Loop", "1024 rounds", options=("--json",))
    inner = graph(forever, [info("i", [], INT64), info("c", [], BOOL), info("s", [2, 3])],
                  [info("c2", [], BOOL), info("s2", [2, 3])])
    for depth in range(3):  # 1000^4 rounds
        inner = graph([node("Identity", ["c" + "_" * (depth + 1)], ["c2" + "_" * (depth + 1)]),
                       node("Loop", ["n", "t", "s" + "_" * (depth + 1)], ["s2" + "_" * (depth + 1)], body=inner)],
                      [info("i" + "_" * (depth + 1), [], INT64), info("c" + "_" * (depth + 1), [], BOOL),
                       info("s" + "_" * (depth + 1), [2, 3])],
                      [info("c2" + "_" * (depth + 1), [], BOOL), info("s2" + "_" * (depth + 1), [2, 3])])
    nested = model(graph([node("Loop", ["n", "t", "x"], ["y"], body=inner)], x, y,
                         [true, tensor("n", [], INT64, (1000).to_bytes(8, "little"))]))
    refused("loops_in_loops", nested, "more nodes than a network may have", options=("--json",))

    # ---- Models of 2 GB and more, as files with holes.
    def big(name, floats):
        raw = tensor("w", [floats], FLOAT, raw_bytes=4 * floats)
        weight = varint(5 << 3 | 2) + varint(len(raw) + 4 * floats) + raw
        body = graph([node("ReduceSum", ["w"], ["r"], keepdims=0), node("Add", ["x", "r"], ["y"])], x, y) + weight
        head = number(1, 8) + text(8, number(2, 17)) + varint(7 << 3 | 2) + varint(len(body) + 4 * floats) + body
        path = folder / f"{name}.onnx"
        with open(path, "wb") as file:
            file.write(head)
            file.truncate(len(head) + 4 * floats)
        return path

    for name, floats, says in (("two_gb", 2**29, "SQUALL_E_"), ("five_gb", 5 * 2**28, "SQUALL_E_LIMIT")):
        path = big(name, floats)
        took = squall("build", path, "--threads", 1, "--out", engine, code=1, says=(says, path.name))
        print(f"{name}: refused in {took:.2f} s")
        path.unlink()
        count += 1
    data = folder / "weights.bin"
    with open(data, "wb") as file:
        file.truncate(2**31)
    for name, external, *says in (
            ("external_two_gb", {"location": "weights.bin", "length": 2**31}, "SQUALL_E_MEMORY"),
            ("external_too_long", {"location": "weights.bin", "offset": 8, "length": 2**31}, "SQUALL_E_"),
            ("external_above", {"location": "../weights.bin", "length": 2**31}, "own folder")):
        refused(name, model(graph([node("Add", ["x", "w"], ["y"])], x, out,
                                  [tensor("w", [2**29], FLOAT, external=external)])), *says)

    # ---- A way out of the model's folder.
    inside = folder / "inside"
    inside.mkdir()
    (folder / "secret.bin").write_bytes(b"\x00\x00\x80\x3f" * 6)
    linked = model(graph([node("Add", ["x", "w"], ["y"])], x, y,
                         [tensor("w", [2, 3], FLOAT, external={"location": "w.bin", "length": 24})]))
    (inside / "m.onnx").write_bytes(linked)
    for target in ("../secret.bin", folder / "secret.bin", "/etc/hostname", "/proc/self/environ"):
        (inside / "w.bin").symlink_to(target)
        squall("build", inside / "m.onnx", "--out", engine, code=1, says=("m.onnx", "w.bin"))
        (inside / "w.bin").unlink()
        count += 1
    (inside / "deep").symlink_to("..")
    (inside / "deep.onnx").write_bytes(model(graph([node("Add", ["x", "w"], ["y"])], x, y, [
        tensor("w", [2, 3], FLOAT, external={"location": "deep/secret.bin", "length": 24})])))
    squall("build", inside / "deep.onnx", "--out", engine, code=1, says=("deep.onnx", "deep/secret.bin"))
    (inside / "w.bin").write_bytes((folder / "secret.bin").read_bytes())
    squall("build", inside / "m.onnx", "--out", engine, code=0)  # and what is inside is taken
    assert count > 25, count
    print(f"{count} models")


with tempfile.TemporaryDirectory() as name:
    main(pathlib.Path(name))
