#!/usr/bin/env python3
"""Run all node cases of PyPI's onnx on the reference backend and hold the count of those that pass.

Makes a virtual environment in the build folder, writes the cases as text, and gives them to
test_ref_node. Exits 77 (skipped) where PyPI cannot be reached.
"""
import os
import pathlib
import re
import subprocess
import sys
import venv

ONNX = "onnx==1.23.2"
CASES = 1884  # of that version
FLOOR = 1569  # raise it with what comes to pass; it never goes down

SOURCE = pathlib.Path(os.environ["SQUALL_SOURCE"])
BUILD = pathlib.Path(os.environ["SQUALL_BUILD"])
VENV = BUILD / "venv-onnx"
DUMP = BUILD / "onnx-node-cases"

WRITE = """
import sys
sys.path.insert(0, sys.argv[1])
import ref_case_format
with open(sys.argv[2], "w") as out:
    for _, _, text in ref_case_format.onnx_cases():
        out.write(text)
"""


def skip(why):
    print("skipped: " + why)
    sys.exit(77)


def python_with_onnx():
    python = VENV / "bin/python"
    has = "import importlib.metadata as m; assert 'onnx==' + m.version('onnx') == '%s'" % ONNX
    if python.exists() and subprocess.run([python, "-c", has], capture_output=True).returncode == 0:
        return python
    try:
        venv.create(VENV, with_pip=True, clear=True)
    except subprocess.CalledProcessError:
        skip("a virtual environment cannot be made; Debian's package for it is python3-venv")
    done = subprocess.run([python, "-m", "pip", "install", "--quiet",
                           "--disable-pip-version-check", ONNX], capture_output=True, text=True)
    if done.returncode != 0:
        skip("PyPI cannot be reached or does not have %s: %s"
             % (ONNX, (done.stderr.strip().splitlines() or ["no message"])[-1]))
    return python


def main():
    python = python_with_onnx()
    DUMP.mkdir(exist_ok=True)
    subprocess.run([python, "-c", WRITE, SOURCE / "tests/expected", DUMP / "all.cases"], check=True)
    done = subprocess.run([BUILD / "tests/test_ref_node", DUMP], capture_output=True, text=True)
    print(done.stdout, done.stderr, sep="")
    found = re.search(r"^(\d+) of (\d+) pass$", done.stdout, re.MULTILINE)
    if done.returncode != 0 or not found:
        sys.exit("test_ref_node ended with %d" % done.returncode)
    passed, total = int(found[1]), int(found[2])
    if total != CASES:
        sys.exit("%d cases were run, %s has %d" % (total, ONNX, CASES))
    if passed < FLOOR:
        sys.exit("%d pass; it was %d (test_ref_node --all %s tells which do not)"
                 % (passed, FLOOR, DUMP))
    if passed > FLOOR:
        print("%d pass: raise FLOOR, it is %d" % (passed, FLOOR))


if __name__ == "__main__":
    main()
