"""Results appear whole or not at all: when killed, when the disk is full, when the folder takes nothing."""
import os
import pathlib
import resource
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from program import ISSUE, MODEL, RECIPE, SQUALL, WINDOW, Result, build_engine, check, frame, squall

FRAMES = [frame(t) for t in ("0135", "0140", "0145", "0150", "0155", "0200")]
OLD = b"what was there before"


def commands(folder, engine):
    """Each command that writes: its name, its arguments, the files that it leaves."""
    forecast = ("forecast", "--engine", engine, "--issue", ISSUE, "--leads", "5,10", *WINDOW, *FRAMES)
    return [
        ("build", ("build", MODEL, "--recipe", RECIPE, "--grid-of", FRAMES[0], *WINDOW, "--out", folder / "e"), ["e"]),
        ("netcdf", (*forecast, "--out", folder / "f.nc"), ["f.nc"]),
        ("maps", (*forecast, "--maps", folder), ["forecast+005.png", "forecast+010.png"]),
        ("sheet", (*forecast, "--sheet", folder / "s.png"), ["s.png"]),
        ("tensors", (*forecast, "--tensors", folder), ["input.npy", "output.npy"]),
        ("features", ("features", "--recipe", RECIPE, "--out", folder, "--issue", ISSUE, *WINDOW, *FRAMES),
         ["20100826T020000Z.input.npy", "index.json"]),
    ]


def same(path, expected):
    """Whether a file is whole. NetCDF tells when it was made: it must be as long, and readable to the end."""
    data = path.read_bytes()
    if path.suffix != ".nc":
        return data == expected
    return len(data) == len(expected) and len(squall("info", "--all", "--json", path).json()) == 2


def whole_files(top, engine):
    """What each command writes when nothing is in its way; the same bytes every time."""
    expected = {}
    for run in range(2):
        for name, arguments, files in commands(fresh(top, f"whole{run}"), engine):
            made = squall(*arguments)
            folder = top / f"whole{run}"
            for file in files:
                expected.setdefault(file, (folder / file).read_bytes())
                check(same(folder / file, expected[file]), made, f"{file} differs from run to run")
            left = [p.name for p in folder.iterdir() if p.name.startswith(".")]
            check(not left, made, f"left behind: {left}")
    return expected


def fresh(top, name):
    folder = top / name
    folder.mkdir()
    return folder


def killed(top, engine, expected):
    """Kill -9 as soon as a hidden file appears, and at many other moments: a file is the old one or the new."""
    folder = fresh(top, "killed")
    seen = {"old": 0, "new": 0}
    for name, arguments, files in commands(folder, engine):
        for turn in range(24):
            for file in folder.iterdir():
                file.unlink()
            for file in files:
                (folder / file).write_bytes(OLD)
            process = subprocess.Popen([str(SQUALL), *map(str, arguments)], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            if turn == 0:  # the first file is there, the others perhaps not yet
                while process.poll() is None and (folder / files[0]).read_bytes() == OLD:
                    pass
            elif turn % 2 == 0:
                while process.poll() is None and not any(p.name.startswith(".") for p in folder.iterdir()):
                    pass
            else:
                time.sleep(0.004 * turn)
            process.send_signal(signal.SIGKILL)
            process.wait()
            for file in files:
                data = (folder / file).read_bytes()
                if data != OLD and not same(folder / file, expected[file]):
                    sys.exit(f"FAILED: {name}, killed: {file} is neither the old file nor the new one")
                seen["old" if data == OLD else "new"] += 1
    if not all(seen.values()):
        sys.exit(f"FAILED: no kill came before, or none after, a file appeared: {seen}")
    return seen


def full(top, engine):
    """No room: a limit on the size of files, and where that is allowed a tiny file system."""
    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))

    folder = fresh(top, "limited")
    for name, arguments, files in commands(folder, engine):
        for file in files:
            (folder / file).write_bytes(OLD)
        # SIGXFSZ stays ignored, as Python has it: the write itself must fail.
        failed = squall(*arguments, code=1, says=("cannot be written: File too large", "is unchanged"),
                        preexec_fn=limited, restore_signals=False)
        check((folder / files[0]).read_bytes() == OLD, failed, f"{files[0]} is no more what it was")
        left = [p.name for p in folder.iterdir() if p.name.startswith(".")]
        check(not left, failed, f"left behind: {left}")
    for arguments in (("help",), ("--version",), ("info", "--json", FRAMES[0]), ("inspect", engine)):
        with open("/dev/full", "w") as nowhere:
            done = subprocess.run([str(SQUALL), *map(str, arguments)], stdout=nowhere, stderr=subprocess.PIPE, text=True)
        if done.returncode != 1 or "could not be written" not in done.stderr:
            sys.exit(f"FAILED: {arguments} on a full standard output: {done.returncode} {done.stderr}")

    script = """
        set -eu
        mount -t tmpfs -o size=8k none "$1"
        printf '%s' "what was there before" > "$1/f.nc"
        shift
        set +e
        "$@"
        code=$?
        [ "$(cat "${FULL}/f.nc")" = "what was there before" ] || exit 90
        [ -z "$(find "$FULL" -name '.*' -type f)" ] || exit 91
        mount -o remount,ro "$FULL"
        "$@"
        [ $? -eq 1 ] || exit 92
        exit $code
    """
    folder = fresh(top, "full")
    arguments = dict((name, a) for name, a, _ in commands(folder, engine))["netcdf"]
    done = Result(subprocess.run(
        ["unshare", "--mount", "--map-root-user", "bash", "-c", script, "bash", folder, SQUALL, *arguments],
        capture_output=True, text=True, env=dict(os.environ, FULL=str(folder))))
    if "unshare:" in done.err or "mount:" in done.err:
        print("no file system can be mounted here: that part is left out:", done.err.strip().splitlines()[0])
        return
    check(done.code == 1 and "No space left on device" in done.err and "Read-only file system" in done.err, done,
          "a full disk, then one that is read-only")


def nowhere(top, engine):
    """Folders that are none, or that nothing may be written to."""
    plain = top / "plain"
    plain.write_bytes(OLD)
    for name, arguments, files in commands(plain, engine):
        # A folder where a file should be, and a file where a folder should be.
        failed = squall(*arguments, code=1, says=str(plain))
        check(plain.read_bytes() == OLD, failed, "the file in the way is no more what it was")
    squall("forecast", "--out", top, *WINDOW, "--issue", ISSUE, *FRAMES, code=1, says="is a folder; a file name is needed")
    if os.geteuid() != 0:
        shut = fresh(top, "shut")
        shut.chmod(0o555)
        for name, arguments, files in commands(shut, engine):
            squall(*arguments, code=1, says=("cannot be written: Permission denied",))
        shut.chmod(0o755)


with tempfile.TemporaryDirectory() as name:
    top = pathlib.Path(name)
    engine = build_engine(top)
    expected = whole_files(top, engine)
    nowhere(top, engine)
    full(top, engine)
    print("files after kill -9:", killed(top, engine, expected))
