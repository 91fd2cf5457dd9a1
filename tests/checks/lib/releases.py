"""A model repository with keys of every role, made by the commands that an operator uses."""
import json
import pathlib

from program import MODEL, squall

ROLES = {"nightly": "train", "alice": "release", "bob": "release", "node": "operate"}


class Repository:
    """Keys lie in the folder: root, one for each role, and `stranger`, whom nobody knows."""

    def __init__(self, folder, approvals=1):
        self.folder = pathlib.Path(folder)
        self.path = self.folder / "repository"
        self.roots = self.folder / "root.pub"
        for name in ("root", "stranger", *ROLES):
            squall("keygen", self.folder / name)
        squall("keyring", "init", self.path, "--root", self.key("root"), "--approvals", approvals)
        for name, role in ROLES.items():
            self.keyring("add", "--name", name, "--roles", role, "--key", self.folder / f"{name}.pub")

    def key(self, name):
        return self.folder / f"{name}.key"

    def keyring(self, verb, *options, **expected):
        return squall("keyring", verb, self.path, "--root", self.key("root"), *options, **expected)

    def model(self, verb, *options, **expected):
        return squall("model", verb, "--repo", self.path, "--roots", self.roots, *options, **expected)

    def release(self, verb, *options, **expected):
        return squall("release", verb, "--repo", self.path, "--roots", self.roots, *options, **expected)

    def card(self, data="Source: KNMI (CC BY 4.0)"):
        path = self.folder / "card.json"
        path.write_text(json.dumps({"data": data, "licence": "Apache-2.0", "skill": {"csi": 0.5}}))
        return path

    def add(self, engine, model=MODEL, name="drift", key="nightly", note="", data=None, **expected):
        card = self.card(data) if data else self.card()
        return self.model("add", name, "--key", self.key(key), "--model", model, "--card", card, "--engine", engine,
                          "--note", note, "--json", **expected)

    def approve(self, version, name="drift", key="alice", **expected):
        return self.release("approve", name, version, "--key", self.key(key), "--json", **expected)


def other_weights(path, change, model=MODEL):
    """The small network with other numbers: `change` takes and gives a weight of its convolution."""
    import struct
    whole = pathlib.Path(model).read_bytes()
    at = whole.index(b"\x4a\xf0\x10") + 3  # raw_data of 12 x 5 x 3 x 3 floats
    values = struct.unpack("<540f", whole[at:at + 2160])
    path = pathlib.Path(path)
    path.write_bytes(whole[:at] + struct.pack("<540f", *map(change, values)) + whole[at + 2160:])
    return path
