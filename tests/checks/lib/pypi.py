"""Packages of PyPI's in a virtual environment of the build folder, for the checks that hold squall against them."""
import os
import pathlib
import subprocess
import sys
import venv

BUILD = pathlib.Path(os.environ["SQUALL_BUILD"])


def skip(why):
    print("skipped: " + why)
    sys.exit(77)


def python_with(name, *packages):
    """The Python of the environment build/NAME that has these packages, each NAME==VERSION; the check is skipped where
    it cannot be made."""
    folder = BUILD / name
    python = folder / "bin/python"
    has = "import importlib.metadata as m\n" + "\n".join(
        f"assert {package!r} == {package.split('==')[0]!r} + '==' + m.version({package.split('==')[0]!r})"
        for package in packages)
    if python.exists() and subprocess.run([python, "-c", has], capture_output=True).returncode == 0:
        return python
    try:
        venv.create(folder, with_pip=True, clear=True)
    except subprocess.CalledProcessError:
        skip("a virtual environment cannot be made; Debian's package for it is python3-venv")
    done = subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages],
                          capture_output=True, text=True)
    if done.returncode != 0:
        skip("PyPI cannot be reached or does not have %s: %s"
             % (", ".join(packages), (done.stderr.strip().splitlines() or ["no message"])[-1]))
    return python
