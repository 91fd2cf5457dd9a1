"""The configuration: mistakes are named with file, line, section and key; the reference in docs/serve.md is true."""
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from program import SOURCE, check, squall

GOOD = """[server]
data = {data}
[source radar]
watch = {watch}
[region nl]
radar = radar
"""


def mistakes(folder):
    """Each mistake alone in a good file: what stderr must say of it."""
    good = GOOD.format(data=folder / "data", watch=folder)
    lines = good.splitlines()
    cases = [
        (good + "cadence = 300\n", "7: [region nl] cadence: no such key"),
        (good + "cadence_s = 3\n", "7: [region nl] cadence_s: '3' is not a whole number from 30 to 86400 in s"),
        (good + "cadence_s = 60.5\n", "'60.5' is not a whole number"),
        (good + "radar = radar\n", "7: [region nl] radar: is given twice"),
        (good + "engines = best\n", "5: [region nl] engines: there is no section [engine best]"),
        (good + "sources = msg\n", "there is no section [source msg]"),
        (good + "method = magic\n", "'magic' is none of: auto model extrapolation persistence sprog steps blend"),
        (good + "leads_min = 10,5\n", "leads_min: whole minutes from 1 to 360, ascending"),
        (good + "window = 1,2,3\n", "window: must be COL,ROW,WIDTH,HEIGHT"),
        (good + "grid_proj = +proj=longlat\n", "grid_proj: needs grid_width"),
        (good + "[region nl]\nradar = radar\n", "7: [region nl]: there is one of this name already, in line 5"),
        (good + "[region a/b]\nradar = radar\n", "7: [region a/b]: its name must be letters"),
        (good + "[region x]\n", "7: [region x] radar: must be given"),
        (good + "[zone x]\nradar = radar\n", "7: [zone x]: no such section"),
        (good + "[engine e]\n", "7: [engine e] file: either file or model must be given"),
        (good + "[source s]\nsettle_ms = 5\n", "7: [source s]: has neither watch, replay, push nor broker"),
        (good + "[source s]\nbroker = b\ntopics = x/#\n", "7: [source s] broker: there is no section"),
        (good + "[broker b]\nhost = h\n[source s]\nbroker = b\n", "9: [source s] topics: broker and topics need one another"),
        (good + "[broker b]\nport = 1883\n", "7: [broker b] host: must be given"),
        (good + "[broker b]\nhost = h\npublish = a/+\n", "publish: is one topic"),
        (good + "[broker b]\nhost = h\npublish = a/b\n", "publish: needs base_url"),
        (good + "[engine e]\nfile = x\nbatch = 4,2\n", "7: [engine e] batch: whole numbers from 1 to 32, ascending"),
        (good + "[key k]\nhash = 12\n", "7: [key k] hash: must be 64 hexadecimal digits"),
        (good + "[limits]\nanonymous = root\n", "8: [limits] anonymous: 'root' is none of: none read infer"),
        (good + "[replay]\nstart = soon\n", "start: is no time"),
        (good + "what is this\n", "7: [region nl]: neither [section], key = value nor a comment"),
        (good + "title = " + "x" * 300 + "\n", "7: [region nl]: a line of 309 bytes"),
        ("\n".join(lines[:4]) + "\n", "there must be at least one"),
        ("data = x\n" + good, "1: [] data: stands before the first section"),
    ]
    for number, (text, says) in enumerate(cases):
        path = folder / f"case{number}.ini"
        path.write_text(text)
        squall("serve", "--config", path, "--check", code=1, says=says)
    several = folder / "several.ini"
    several.write_text(good + "cadence_s = 3\nalarm_cells = 0\nnothing = 1\n")
    squall("serve", "--config", several, "--check", code=1,
           says=("cadence_s:", "alarm_cells:", "nothing:", "3 things are wrong"))
    # A wrong file starts nothing either.
    squall("serve", "--config", several, code=1, says="cadence_s:")


def things_that_are_not_there(folder):
    path = folder / "named.ini"
    path.write_text(GOOD.format(data=folder / "data", watch=folder / "no") +
                    f"engines = e\n[engine e]\nfile = {folder}/no.engine\n")
    squall("serve", "--config", path, "--check", code=1,
           says=("[source radar] watch: ", "is no folder", "[engine e] file: ", "No such file"))
    squall("serve", "--config", folder / "none.ini", "--check", code=1, says="No such file")
    squall("serve", code=2, says="--config FILE.ini")


def keys():
    made = squall("serve", "--make-key")
    key, digest = (line.split()[1] for line in made.out.splitlines())
    import hashlib
    check(hashlib.blake2b(key.encode(), digest_size=32).hexdigest() == digest, made, "the hash is BLAKE2b-256 of the key")
    check(squall("serve", "--make-key").out != made.out, made, "no two keys are alike")


def reference():
    printed = squall("serve", "--keys")
    check(printed.out.strip() in (SOURCE / "docs/serve.md").read_text(), printed,
          "docs/serve.md is stale: squall serve --keys says something else")


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        good = folder / "good.ini"
        good.write_text(GOOD.format(data=folder / "data", watch=folder))
        squall("serve", "--config", good, "--check")
        mistakes(folder)
        things_that_are_not_there(folder)
    keys()
    reference()


if __name__ == "__main__":
    main()
