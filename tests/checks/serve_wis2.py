"""WIS2 notifications with a real mosquitto: files are fetched, held against their hashes and read once; products are announced; a broker
that is gone hurts no forecast and is found again."""
import base64
import hashlib
import http.server
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from program import SQUALL, frame
from server import REGION, Server

TOPIC = "cache/a/wis2/nl-knmi/data/core/weather/surface-based-observations/weather-radar"
MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"


def holds(what, truth):
    if not truth:
        sys.exit(f"FAILED: {what}")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Broker:
    """mosquitto on the loopback, with a password."""

    def __init__(self, folder, port):
        self.folder, self.port, self.process = folder, port, None
        self.passwords = folder / "passwords"
        self.passwords.write_text("squall:secret\n")
        subprocess.run(["mosquitto_passwd", "-U", str(self.passwords)], check=True)
        (folder / "mosquitto.conf").write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {self.passwords}\nuser root\n")
        self.passwords.chmod(0o600)

    def start(self):
        self.process = subprocess.Popen([MOSQUITTO, "-c", str(self.folder / "mosquitto.conf")], stderr=subprocess.DEVNULL)
        for _ in range(100):
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        sys.exit("FAILED: mosquitto does not start")

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def client(self, program, *arguments):
        return [program, "-h", "127.0.0.1", "-p", str(self.port), "-u", "squall", "-P", "secret", *arguments]

    def publish(self, message, topic=TOPIC):
        text = message if isinstance(message, bytes) else json.dumps(message).encode()
        subprocess.run(self.client("mosquitto_pub", "-q", "1", "-t", topic, "-s"), input=text, check=True)


class Files(http.server.ThreadingHTTPServer):
    """What messages point to; it counts how often each was asked for."""

    def __init__(self):
        files = self
        self.content, self.asked, self.refuse = {}, {}, 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.lstrip("/")
                files.asked[name] = files.asked.get(name, 0) + 1
                body = files.content.get(name)
                if files.refuse > 0 or body is None:
                    files.refuse -= 1
                    self.send_error(503)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


def message(files, name, body, pubtime="2010-08-26T02:00:00Z", digest=None, rel="canonical", href=None):
    """A notification of that file."""
    return {"id": str(uuid.uuid4()), "conformsTo": ["http://wis.wmo.int/spec/wnm/1/conf/core"], "type": "Feature", "geometry": None,
            "properties": {"pubtime": pubtime, "data_id": f"nl-knmi/{name}", "datetime": "2010-08-26T02:00:00Z",
                           "integrity": {"method": "sha512", "value": digest or base64.b64encode(hashlib.sha512(body).digest()).decode()}},
            "links": [{"rel": rel, "href": href or f"{files.address}/{name}", "length": len(body)}]}


def counter(server, name, **labels):
    """The value of a metric; 0 where it is not there yet."""
    wanted = name + ("{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + "}" if labels else "") + " "
    for line in server.get("/metrics").body.decode().splitlines():
        if line.startswith(wanted):
            return float(line[len(wanted):])
    return 0.0


def messages(server, result):
    return counter(server, "squall_wis2_messages_total", broker="wis", result=result)


def arrive(server, broker, files):
    for hhmm in ("0150", "0155", "0200"):
        name = frame(hhmm).name
        files.content[name] = frame(hhmm).read_bytes()
    files.refuse = 1  # the first attempt fails; it is tried again
    for name, body in list(files.content.items()):
        broker.publish(message(files, name, body))
    server.forecast("nl", "02:00")
    server.wait("three files", lambda: counter(server, "squall_wis2_fetches_total", source="radar", result="ok") == 3)
    name = frame("0200").name
    again = message(files, name, files.content[name])
    asked = files.asked[name]
    broker.publish(again)
    broker.publish(again, TOPIC + "/other")
    server.wait("two duplicates", lambda: messages(server, "duplicate") == 2)
    holds("a duplicate is not fetched", files.asked[name] == asked)
    broker.publish({**again, "properties": {**again["properties"], "pubtime": "2010-08-26T02:01:00Z"},
                    "links": [{**again["links"][0], "rel": "update"}]})
    server.wait("the update", lambda: files.asked[name] == asked + 1)


def refuse(server, broker, files):
    """What is wrong is not read, and says why."""
    body = frame("0205").read_bytes()
    files.content["wrong.h5"] = files.content["huge.h5"] = files.content["elsewhere.h5"] = body
    broker.publish(b"{")
    broker.publish({"type": "Feature"})
    server.wait("two that are invalid", lambda: messages(server, "invalid") == 2)
    broker.publish(message(files, "wrong.h5", body, digest=base64.b64encode(hashlib.sha512(b"x").digest()).decode()))
    server.wait("a corrupt one", lambda: counter(server, "squall_wis2_fetches_total", source="radar", result="corrupt") == 1)
    files.content["huge.h5"] = bytes(2 << 20)
    broker.publish(message(files, "huge.h5", bytes(2 << 20)))
    broker.publish(message(files, "elsewhere.h5", body, href=f"http://localhost:{files.server_port}/elsewhere.h5"))
    broker.publish(message(files, "passwd", body, href="file:///etc/passwd"))
    server.wait("three failures", lambda: counter(server, "squall_wis2_fetches_total", source="radar", result="failed") == 3)
    holds("only the hosts that are named", files.asked.get("elsewhere.h5", 0) == 0)
    broker.publish(message(files, "gone.h5", body, rel="deletion"))
    unsigned = message(files, "unsigned.h5", body)
    del unsigned["properties"]["integrity"]
    broker.publish(unsigned)
    server.wait("a deletion and one without a hash", lambda: messages(server, "deletion") == 1 and messages(server, "refused") == 1)
    said = server.log()
    for text in ("does not have the hash", "is larger than 1 MB", "none of `hosts`", "no address of http", "no UUID", "require_hash"):
        holds(f"the log says '{text}'", text in said)
    holds("no secret in the log", "secret" not in said)
    holds("nothing of it was read", server.get("/regions/nl").json()["issue_time"] == "2010-08-26T02:00:00Z")


def announced(server, heard):
    """Each product is announced, with what its file is."""
    lines = server.wait("announcements", lambda: [l for l in heard.read_text().splitlines() if l.endswith("}")])
    topic, _, text = lines[-1].partition(" ")
    said = json.loads(text)
    holds(topic, topic == "origin/a/wis2/office/data/core/weather/prediction/forecast/nowcasting/deterministic/limited-area/nl")
    holds(text, uuid.UUID(said["id"]).version == 4 and said["type"] == "Feature" and len(text) <= 8192)
    holds(text, said["conformsTo"] == ["http://wis.wmo.int/spec/wnm/1/conf/core"] and said["geometry"]["type"] == "Polygon")
    link, properties = said["links"][0], said["properties"]
    file = server.get(link["href"].removeprefix("http://office.example")).body
    holds(text, link["rel"] in ("canonical", "update") and link["length"] == len(file))
    holds("its hash", properties["integrity"] == {"method": "sha512", "value": base64.b64encode(hashlib.sha512(file).digest()).decode()})
    holds(text, properties["data_id"].startswith("wis2/office/data/") and properties["data_id"].endswith(".nc"))
    holds(text, properties["metadata_id"] == "urn:wmo:md:office:nowcast" and properties["start_datetime"] == "2010-08-26T02:00:00Z")


def away(server, broker, files):
    """Without a broker the cycle goes on by other ways; it is found again, and messages of the meantime are not lost."""
    broker.stop()
    server.wait("the end of the connection", lambda: counter(server, "squall_wis2_broker_connected", broker="wis") == 0)
    server.get("/ingest/radar/" + frame("0205").name, method="PUT", body=frame("0205").read_bytes(), status=202,
               headers={"X-API-Key": server.key})
    server.forecast("nl", "02:05")
    before = counter(server, "squall_wis2_announcements_total", broker="wis", result="taken")
    broker.start()
    server.wait("the broker again", lambda: counter(server, "squall_wis2_broker_connected", broker="wis") == 1, 90)
    server.wait("what was announced meanwhile", lambda: counter(server, "squall_wis2_announcements_total", broker="wis", result="taken") > before)
    name = frame("0210").name
    files.content[name] = frame("0210").read_bytes()
    broker.publish(message(files, name, files.content[name]))
    server.forecast("nl", "02:10")


def config(folder, broker, digest):
    return f"""
[replay]
start = 2010-08-26T02:10Z
speed = 0.01
[limits]
operate_tcp = yes
[key operator]
role = operate
hash = {digest}
[broker wis]
host = 127.0.0.1
port = {broker.port}
username = squall
password_file = {folder}/password
client_id = squall-test
publish = origin/a/wis2/office/data/core/weather/prediction/forecast/nowcasting/deterministic/limited-area/{{region}}
metadata_id = urn:wmo:md:office:nowcast
[source radar]
broker = wis
topics = cache/a/wis2/+/data/core/weather/surface-based-observations/#
hosts = 127.0.0.1
require_hash = yes
download_mb = 1
push = yes
[region nl]
radar = radar
{REGION}
deadline_s = 0
"""


def main():
    if not pathlib.Path(MOSQUITTO).exists():
        print("mosquitto is not installed")
        sys.exit(77)
    made = subprocess.run([str(SQUALL), "serve", "--make-key"], capture_output=True, text=True, check=True).stdout.split()
    key, digest = made[1], made[3]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "password").write_text("secret\n")
        files, broker = Files(), Broker(folder, free_port())
        broker.start()
        heard = folder / "heard"
        listener = subprocess.Popen(broker.client("mosquitto_sub", "-q", "1", "-v", "-t", "origin/#"), stdout=open(heard, "w"))
        try:
            with Server(config(folder, broker, digest), folder, server="base_url = http://office.example") as server:
                server.key = key
                server.wait("the broker", lambda: counter(server, "squall_wis2_broker_connected", broker="wis") == 1)
                arrive(server, broker, files)
                refuse(server, broker, files)
                announced(server, heard)
                away(server, broker, files)
        finally:
            listener.terminate()
            listener.wait()
            broker.stop()
            files.shutdown()
    print("notifications come and go")


main()
