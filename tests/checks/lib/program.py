"""What the checks of the program share: where it is, how it is run, what it is given."""
import json
import os
import pathlib
import subprocess
import sys

SOURCE = pathlib.Path(os.environ["SQUALL_SOURCE"])
SQUALL = SOURCE / "build/release/src/squall"
KNMI = SOURCE / "data/knmi"
RECIPE = SOURCE / "models/default/recipe.json"
MODEL = SOURCE / "tests/data/cli/drift.onnx"
WINDOW = ("--window", "200,260,160,128")  # a part of the grid, for speed
ISSUE = "2010-08-26T02:00:00Z"


def frame(hhmm):
    """The shipped frame of that time."""
    return KNMI / f"RAD_NL25_RAP_5min_20100826{hhmm}.h5"


class Result:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        self.command = " ".join(map(str, done.args))

    def json(self):
        """Its stdout, which must be JSON as the standard has it: no NaN, no Infinity."""
        return json.loads(self.out, parse_constant=lambda word: fail(self, f"'{word}' is no JSON"))


def fail(result, what):
    sys.exit(f"FAILED: {what}\n$ {result.command}\nexit code {result.code}\n{result.out}{result.err}")


def squall(*arguments, code=0, says=(), **options):
    """Run the program; it must end with `code` and have every text of `says` on stderr."""
    arguments = [a if isinstance(a, bytes) else str(a) for a in arguments]
    result = Result(subprocess.run([str(SQUALL), *arguments], capture_output=True, text=True,
                                   errors="surrogateescape", **options))
    if result.code != code:
        fail(result, f"exit code {code} was expected")
    for text in (says,) if isinstance(says, str) else says:
        if text not in result.err:
            fail(result, f"stderr must say '{text}'")
    return result


def check(holds, result, what):
    if not holds:
        fail(result, what)


def build_engine(folder, *options, **environment):
    """An engine of the small network for the window."""
    engine = pathlib.Path(folder) / "drift.engine"
    squall("build", MODEL, "--recipe", RECIPE, "--grid-of", frame("0000"), *WINDOW, "--out", engine,
           *options, **environment)
    return engine
