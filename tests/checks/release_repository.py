"""Model repository, keyring and ledger by their commands: what an operator does, and what is found when somebody tampers."""
import json
import os
import pathlib
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from program import MODEL, SOURCE, build_engine, check, squall
from releases import Repository


def keyring(repository):
    shown = squall("keyring", "show", repository.path, "--roots", repository.roots, "--json")
    ring = shown.json()
    check(ring["serial"] == 5 and [k["roles"] for k in ring["keys"]] == [["train"], ["release"], ["release"], ["operate"]], shown, "keys")
    check("alice" in squall("keyring", "show", repository.path, "--roots", repository.roots).out, shown, "text")
    squall("keyring", "show", repository.path, "--roots", repository.folder / "stranger.pub", code=1, says="none of the 1 root keys")
    squall("keyring", "add", repository.path, "--root", repository.key("stranger"), "--name", "eve", "--roles", "train",
           "--key", repository.folder / "stranger.pub", code=1, says="SQUALL_E_SIGNATURE")
    repository.keyring("init", code=2, says="is there already")
    repository.keyring("add", "--name", "eve", "--roles", "king", "--key", repository.folder / "stranger.pub", code=2)
    repository.keyring("add", "--name", "eve", code=2, says="needs --name, --roles and --key")
    repository.keyring("bless", code=2, says="the verbs are")
    squall("keyring", code=2)


def versions(repository, engine, other):
    first = repository.add(engine, note="the first")
    check(first.json() == {"name": "drift", "version": 1, "new": True}, first, "a new version")
    check(repository.add(engine, note="again").json()["new"] is False, first, "the same again is no new version")
    repository.add(engine, data="other data")
    repository.add(engine, key="stranger", data="a third", code=1, says="not in the keyring")
    repository.add(engine, key="alice", data="a third", code=1, says="has not the role train")
    repository.add(engine, model=other, data="a third", code=1, says="was built from a model with")
    shown = repository.model("show", "drift", 2, "--json")
    what = shown.json()
    check(what["verified"] and what["card"]["data"] == "other data", shown, "the card")
    kinds = sorted(f["kind"] for f in what["files"])
    check(kinds == ["card", "engine", "model", "recipe"], shown, "files")
    folder = repository.path / "models/drift/2"
    check((folder / "model.onnx").read_bytes() == MODEL.read_bytes(), shown, "Triton's name of the model")
    check('name: "drift"' in (folder.parent / "config.pbtxt").read_text(), shown, "Triton's configuration")
    for file in what["files"]:  # the same file by its content
        check((repository.path / "blobs" / file["sha256"]).samefile(folder / file["name"]), shown, "blobs")
        check(not os.stat(folder / file["name"]).st_mode & 0o222, shown, "nobody may write it")
    listed = repository.model("list", "--json").json()
    check([(v["name"], v["version"]) for v in listed] == [("drift", 1), ("drift", 2)], shown, "list")
    check("drift/1" in repository.model("list", "drift").out and repository.model("list", "none").out == "", shown, "text")
    different = repository.model("diff", "drift", 1, 2, "--json")
    check(different.json() == [{"what": "changed", "file": "card.json"}], different, "diff")
    repository.model("show", "drift", 7, code=1, says="there is no version 7")
    repository.model("show", "nothing", code=1, says="there is no version of it")
    repository.model("add", "x", code=2)
    squall("model", code=2)
    verified = repository.model("verify", "--json")
    check(verified.json() == {"versions": 2, "good": True, "problems": []}, verified, "verify")


def ledger(repository):
    repository.approve(2, key="nightly", code=1, says="has not the role release")
    one = repository.approve(2)
    check(one.json()["approvals"] == 1 and one.json()["needed"] == 2, one, "the two-person rule")
    check(repository.approve(2).json()["approvals"] == 1, one, "one person counts once")
    check(repository.approve(2, key="bob").json()["approvals"] == 2, one, "two persons")
    log = repository.release("log", "show", "--json")
    entries = log.json()["entries"]
    check([(e["what"], e["by"]) for e in entries] == [("add", "nightly"), ("add", "nightly"), ("approve", "alice"),
                                                      ("approve", "alice"), ("approve", "bob")], log, "who did what")
    head = log.json()["head"]
    path = repository.path / "trust/ledger"
    whole = path.read_bytes()
    path.write_bytes(b"".join(whole.splitlines(True)[:-1]))  # its end is cut off, at a line
    repository.release("log", "verify")
    repository.release("log", "verify", "--head", head, code=1, says="it lost its end")
    path.write_bytes(whole.replace(b'"approve"', b'"promote"', 1))
    repository.release("log", "verify", code=1, says="is not what its key signed")
    path.write_bytes(b"".join(l for i, l in enumerate(whole.splitlines(True)) if i != 1))
    repository.release("log", "verify", code=1, says="number 3 where 2 is due")
    path.write_bytes(whole)
    repository.release("log", "verify", "--head", head)
    repository.keyring("revoke", "--name", "bob", "--since", "2020-01-01T00:00Z", "--reason", "laptop lost")
    log = repository.release("log", "verify", "--json")
    check(log.json()["void"] == 1, log, "what a lost key signed is void")
    squall("release", "log", code=2)
    repository.release("log", "burn", code=2)
    repository.release("bless", code=2, says="the verbs are")


def tampering(repository):
    """Each file of a version; the unit tests go through every byte."""
    version = repository.path / "models/drift/2"
    for file in sorted(version.iterdir()) + [repository.path / "trust/keyring"]:
        whole = file.read_bytes()
        os.chmod(file, 0o644)
        file.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
        found = repository.model("verify", code=1)
        check("SQUALL_E_" in found.err, found, f"{file.name} was changed and nobody saw it")
        if version in file.parents:
            repository.approve(2, code=1)  # nor would it be released
        file.write_bytes(whole)
    repository.model("verify")


def collection(repository):
    gone = repository.model("gc", "--keep", 1, "--key", repository.key("nightly"), "--json", "--dry-run").json()
    squall_says = repository.model("gc", "--keep", 1, "--key", repository.key("nightly"), "--json")
    check(gone["versions"] == squall_says.json()["versions"] == 1 and squall_says.json()["blobs"] == 1, squall_says, "gc")
    repository.model("verify")


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        engine = build_engine(folder)
        other = SOURCE / "tests/data/compile/small_unet.onnx"
        repository = Repository(folder, approvals=2)
        keyring(repository)
        versions(repository, engine, other)
        ledger(repository)
        tampering(repository)
        collection(repository)
        shutil.rmtree(repository.path, ignore_errors=True)
    print(json.dumps({"repository": "holds"}))


if __name__ == "__main__":
    main()
