"""ChirpStack's codec (JavaScript) and ours (C) agree on every value of random, boundary and damaged messages. Needs node."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

SOURCE, BUILD = (pathlib.Path(os.environ[name]) for name in ("SQUALL_SOURCE", "SQUALL_BUILD"))
COUNT = 20000

if shutil.which("node") is None:
    print("no node")
    sys.exit(77)
lines = subprocess.run([BUILD / "tests/test_lora", str(COUNT)], check=True, capture_output=True, text=True).stdout
script = (SOURCE / "packaging/chirpstack_codec.js").read_text() + """
const lines = require("fs").readFileSync(0, "utf8").trim().split("\\n");
for (const line of lines) {
  const message = JSON.parse(line);
  const bytes = Array.from(Buffer.from(message.bytes, "hex"));
  console.log(JSON.stringify(decodeUplink({ bytes: bytes, fPort: 10, variables: {} })));
}
console.log(JSON.stringify(decodeUplink({ bytes: [], fPort: 11 })));
"""
ran = subprocess.run(["node", "-e", script], input=lines, check=True, capture_output=True, text=True).stdout.splitlines()
messages = [json.loads(line) for line in lines.splitlines()]
results = [json.loads(line) for line in ran]
assert len(messages) == COUNT and len(results) == COUNT + 1, (len(messages), len(results))
assert "errors" in results.pop()
refused = kinds = 0
seen = set()
for message, result in zip(messages, results):
    if message["data"] is None:
        refused += 1
        assert list(result) == ["errors"], (message, result)
        continue
    data = result["data"]
    words, issue = data.pop("status_words"), data.pop("issue")
    assert data == message["data"], f"{message['bytes']}\n  C          {message['data']}\n  JavaScript {data}"
    assert len(words) == bin(data["status"]).count("1") and issue.endswith(":00.000Z")
    seen.add((data["kind"], len(data.get("sectors", []))))
assert refused > COUNT // 8 and len(seen) == 3 * 9 + 1, (refused, seen)
print(f"{COUNT} messages: the same values; {refused} damaged ones refused by both")
