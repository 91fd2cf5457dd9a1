"""Training and serving make the same input: `squall features` and `squall forecast --tensors`, byte for byte."""
import os
import pathlib
import subprocess
import sys
import tempfile

source = pathlib.Path(os.environ["SQUALL_SOURCE"])
squall = source / "build/release/src/squall"
issue = "2010-08-26T02:00:00Z"
with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    model, recipe, first = source / "models/default/model.onnx", source / "models/default/recipe.json", source / "data/knmi/RAD_NL25_RAP_5min_201008260000.h5"
    subprocess.run([squall, "build", model, "--recipe", recipe, "--grid-of", first, "--out", folder / "e.engine"], check=True)
    subprocess.run([squall, "features", "--recipe", recipe, "--issue", issue, "--out", folder / "t", source / "data/knmi"], check=True)
    subprocess.run([squall, "forecast", "--engine", folder / "e.engine", "--issue", issue, "--tensors", folder / "s", source / "data/knmi"], check=True)
    training, serving = (folder / "t/20100826T020000Z.input.npy").read_bytes(), (folder / "s/input.npy").read_bytes()
    if training != serving:
        sys.exit(f"the tensors differ ({len(training)} and {len(serving)} bytes)")
    print(f"{len(serving)} bytes, equal")
