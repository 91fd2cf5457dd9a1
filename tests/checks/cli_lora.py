"""squall lora: the example of docs/edge.md, keys that are never overwritten, commands whose seal Python's BLAKE2b makes as well, times in
the air; and squall bench --edge."""
import base64
import hashlib
import pathlib
import stat
import struct
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from program import build_engine, check, squall

EXAMPLE = "11126701021a133e825773a85142bcadff"


def decode():
    want = {"kind": "alarm", "station": 4711, "sequence": 258, "issue_s": 1782900300, "issue": "2026-07-01T10:05:00Z", "status": 4,
            "battery": 87, "confidence": 70, "threshold_mm_h": 10.4, "lead_step_min": 15,
            "sectors": [{"rates_mm_h": [0.4, 48.0], "onset_min": 25}]}
    base = base64.b64encode(bytes.fromhex(EXAMPLE)).decode()
    ran = squall("lora", "decode", EXAMPLE, base, "--json")
    check(ran.json() == [want, want], ran, "the example is something else")
    ran = squall("lora", "decode", EXAMPLE)
    check("alarm of station 4711" in ran.out and "10.4 mm/h in 25 min" in ran.out, ran, "text")
    squall("lora", "decode", EXAMPLE[:-1] + "e", code=1, says="checksum")
    squall("lora", "decode", EXAMPLE[:12], code=1, says="SQUALL_E_TRUNCATED")
    for text in ("zz", "=", "00" * 52, "AB=C"):
        squall("lora", "decode", text, code=1, says="neither hexadecimal nor base 64")
    squall("lora", "decode", code=2)
    squall("lora", code=2, says="is needed")


def sealed(folder):
    key = folder / "station.key"
    squall("lora", "key", key)
    check(stat.S_IMODE(key.stat().st_mode) == 0o600, squall("lora", "key", key, code=1, says="never overwritten"), "mode")
    secret = bytes.fromhex(key.read_text().strip())
    common = ("--key", key, "--station", 4711, "--counter", 70000)
    orders = {
        ("acknowledge", "--sequence", 258, "--mask", 5): struct.pack(">HH", 258, 5),
        ("threshold", "--mask", 129, "--threshold", 12.5): struct.pack(">BH", 129, 125),
        ("cadence", "--cadence", 600): struct.pack(">H", 600),
        ("release", "--release", "0123456789abcdef"): bytes.fromhex("0123456789abcdef"),
        ("reboot",): b"",
    }
    for number, (words, own) in enumerate(orders.items()):
        body = bytes([0x10 | number]) + struct.pack(">I", 70000) + own
        tag = hashlib.blake2b(b"sq" + struct.pack(">H", 4711) + body, key=secret, digest_size=32).digest()[:8]
        ran = squall("lora", "command", *words, *common)
        check(base64.b64decode(ran.out) == body + tag, ran, "another seal than Python's")
    ran = squall("lora", "command", "reboot", *common, "--device", "0102030405060708")
    down = ran.json()
    check(down == {"devEui": "0102030405060708", "confirmed": False, "fPort": 10, "data": base64.b64encode(body + tag).decode()}, ran, "JSON")
    squall("lora", "command", "dance", *common, code=2)
    squall("lora", "command", "reboot", "--key", key, "--station", 1, code=2, says="--counter")
    squall("lora", "command", "release", *common, code=2, says="16 digits")
    squall("lora", "command", "reboot", "--key", folder / "none", "--station", 1, "--counter", 1, code=1)
    key.write_text("00\n")
    squall("lora", "command", "reboot", *common, code=1, says="SQUALL_E_FORMAT")


def airtime():
    ran = squall("lora", "airtime", "--json")
    rows = ran.json()
    check([row["data_rate"] for row in rows] == list(range(7)) and abs(rows[0]["airtime_ms"] - 2629.6) < 0.1 and rows[0]["an_hour"] == 13,
          ran, "EU868")
    ran = squall("lora", "airtime", "--region", "us915")
    check(ran.out.startswith("DR1: 349.2 ms"), ran, "US915 carries 44 bytes from DR1 on")
    squall("lora", "airtime", "--region", "mars", code=2, says="none of eu868")


def edge(folder):
    engine = build_engine(folder)
    ran = squall("bench", engine, "--edge", "--runs", 3, "--json")
    what = ran.json()["edge"]
    check(what["engine_bytes"] == engine.stat().st_size and 0 < what["first_ms"] < 60000 and what["cpu_ms"] > 0 and
          what["busy_share"] > 0 and all(joules >= 0 for joules in what["energy_j"].values()), ran, "edge")
    ran = squall("bench", engine, "--edge", "--runs", 2)
    check("at the edge: first result" in ran.out and "processor time" in ran.out, ran, "text")
    ran = squall("bench", engine, "--runs", 2, "--json")
    check("edge" not in ran.json(), ran, "not asked for")


with tempfile.TemporaryDirectory() as name:
    decode()
    sealed(pathlib.Path(name))
    airtime()
    edge(pathlib.Path(name))
