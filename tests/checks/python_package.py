"""The Python package: installed by pip into an environment of its own, its tests run on the installed library, its types
hold by mypy."""
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from program import SOURCE
from pypi import python_with

NUMPY, MYPY = "numpy==2.2.6", "mypy==1.18.2"


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"FAILED: {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done


python = python_with("venv-python", NUMPY, MYPY, "setuptools==80.9.0", "wheel==0.45.1")
with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    run("cmake", "--install", SOURCE / "build/release", "--prefix", folder / "prefix")
    library = next((folder / "prefix").rglob("libsquall.so.0"))
    # A copy: pip would leave what it makes in the source.
    run("cp", "-r", SOURCE / "python", folder / "python")
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-build-isolation", "--no-deps",
        "--force-reinstall", folder / "python")
    environment = {**os.environ, "SQUALL_LIBRARY": str(library)}
    done = run(python, "-W", "error", "-m", "unittest", "-q", "test_squall", cwd=folder / "python/tests", env=environment)
    print(done.stderr.strip().splitlines()[-3])
    run(python, "-m", "mypy", "--strict", "--cache-dir", folder / "mypy", "-p", "squall", cwd=folder / "python",
        env=environment)
    # Where there is no library it says what to do.
    lost = subprocess.run([python, "-c", "import squall"], capture_output=True, text=True,
                          env={**os.environ, "SQUALL_LIBRARY": "/no/such/libsquall.so"})
    if lost.returncode == 0 or "SQUALL_LIBRARY" not in lost.stderr:
        sys.exit("FAILED: a library that is not there: " + lost.stderr)
