"""What squall reduce writes is ONNX by onnx's own checker, from networks of both of PyTorch's exporters, and by each
kind of failing; its words and exit codes."""
import pathlib
import stat
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from program import SOURCE, check, squall
from pypi import python_with

DATA = SOURCE / "tests/data"
ONNX = "onnx==1.23.2"
CHECK = """
import sys, warnings
warnings.simplefilter("ignore")
import onnx
for path in sys.argv[1:]:
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    print(len(model.graph.node), " ".join(node.op_type for node in model.graph.node))
"""


def has(folder, operator):
    """A command that exits with 3 for a file that has the operator."""
    script = folder / operator
    script.write_text(f'#!/bin/sh\ngrep -q {operator} "$1" && exit 3\nexit 0\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


def main(folder):
    python = python_with("venv-onnx", ONNX)
    made = []

    def reduce(model, *options, code=0, says=()):
        out = folder / f"reduced{len(made)}.onnx"
        one = squall("reduce", DATA / model, "--out", out, "--json", *options, code=code, says=says)
        check(out.exists() == (code == 0), one, "a file where there should be none, or none")
        if code == 0:
            made.append(out)
            what = one.json()
            check(0 < what["nodes"] <= what["nodes_in"] and what["complete"], one, "counts")
        return one

    for network, operator, *shape in (
            ("raft.script", "GridSample"), ("raft.dynamo", "GridSample"), ("swin.script", "Softmax"),
            ("swin.dynamo", "LayerNormalization"), ("convlstm.script", "Conv", "--shape", "x0=2x3x1x24x32"),
            ("sequences.dynamo", "LSTM"), ("resizes.script", "Resize"), ("pangu.dynamo", "Gather")):
        one = reduce(f"networks/{network}.onnx", "--check", has(folder, operator), "--check-code", 3, *shape)
        check(one.json()["nodes"] <= 3, one, f"{one.json()['nodes']} nodes to have a {operator}")
    reduce("networks/unet.script.onnx", "--below", 400, "--shape", "x0=1x4x64x64")
    reduce("compile/unsupported.onnx", "--message", "is not taken")
    checkable = [path for path in made[:-1]]  # the last has an operator that nobody knows
    done = subprocess.run([python, "-c", CHECK, *checkable], capture_output=True, text=True)
    print(done.stdout, end="")
    if done.returncode != 0 or len(done.stdout.splitlines()) != len(checkable):
        sys.exit(f"onnx's checker: {done.stderr}")

    reduce("networks/unet.script.onnx", "--below", 40, "--shape", "x0=1x4x64x64", code=1,
           says=("does not fail as a whole", "dB", "SQUALL_E_NO_DATA"))
    reduce("networks/unet.script.onnx", "--below", 40, code=1, says="pass a shape")
    reduce("compile/unsupported.onnx", "--check", "/no/such/command", code=1, says="cannot be run")
    reduce("networks/none.onnx", "--check", "false", code=1, says="SQUALL_E_IO")
    reduce("onnx/not_onnx.onnx", "--check", "false", code=1, says="SQUALL_E_FORMAT")
    squall("reduce", DATA / "compile/small_unet.onnx", code=2, says="--out are needed")
    squall("reduce", "--out", folder / "x.onnx", code=2, says="one model")


with tempfile.TemporaryDirectory() as name:
    main(pathlib.Path(name))
