"""The road of the service: a radar file arrives, a forecast is published, and machines ask for it in every way."""
import csv
import io
import pathlib
import struct
import sys
import tempfile
import urllib.parse
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from program import build_engine, check, frame, squall
from server import Server, copy_frame, expect, watch_config

BEFORE = ("0120", "0125", "0130", "0135", "0140", "0145", "0150", "0155")
HELDER = "POINT(4.76 52.96)"
BOX = "4.5,52.7,5.0,53.1"


def pixels(answer):
    """Width, height and distinct pixel bytes of an indexed PNG."""
    data = answer.body
    expect(data[:8] == b"\x89PNG\r\n\x1a\n", answer, "no PNG")
    at, found, head = 8, b"", None
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        expect(struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0] == zlib.crc32(kind + body), answer, "checksum")
        head = struct.unpack(">II", body[:8]) if kind == b"IHDR" else head
        found += body if kind == b"IDAT" else b""
        at += 12 + length
    return head, set(zlib.decompress(found))


def of_the_forecast(server, engine):
    region = server.forecast("nl", "02:00")
    answer = server.get("/regions/nl")
    expect(region["method"] == "model" and region["engine"] == "drift", answer, "the engine made it")
    expect(region["quality"] == "nominal" and region["complete"], answer, "nothing was missing")
    expect(len(region["forecast"]) == 12 and region["observed"][-1]["lead_s"] == 0, answer, "times")
    files = [f["file"] for f in region["inputs"]["sources"][0]["frames"]]
    expect(frame("0200").name in files and frame("0120").name in files, answer, "it says what went into it")
    return region


def same_as_the_command(server, folder, engine):
    """What is served is what `squall forecast` makes of the same files."""
    out = folder / "forecast.nc"
    made = squall("forecast", "--json", "--engine", engine, "--issue", "2010-08-26T02:00Z", "--window", "200,260,160,128",
                  "--out", out, *[frame(t) for t in (*BEFORE, "0200")])
    whole = server.wait("product", lambda: [p for p in server.get("/regions/nl/products").json()["products"]
                                            if p["issue_time"] == "2010-08-26T02:00:00Z"])
    name = whole[0]["href"].rsplit("/", 1)[1]
    served = server.get(f"/regions/nl/products/{name}")
    saved = folder / "served.nc"
    saved.write_bytes(served.body)
    ours, theirs = (squall("info", "--json", f).json()[0] for f in (saved, out))
    for key in ("count", "valid_time", "min", "max", "mean", "wet", "dry", "no_coverage"):
        check(ours[key] == theirs[key], made, f"{key}: {ours[key]} served, {theirs[key]} by the command")


def position(server):
    answer = server.get("/collections/nl/position", coords=HELDER)
    cover = answer.json()
    expect(answer.headers["Content-Type"] == "application/prs.coverage+json", answer, "type")
    expect(cover["domain"]["domainType"] == "PointSeries" and len(cover["domain"]["axes"]["t"]["values"]) == 12, answer, "domain")
    rates = cover["ranges"]["rainrate"]["values"]
    expect(all(v is None or 0 <= v < 300 for v in rates), answer, "rates")
    text = server.get("/collections/nl/position", coords=HELDER, f="CSV", parameter_name="rainrate").body.decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    expect([float(r["rainrate (mm/h)"] or -1) for r in rows] == [-1 if v is None else v for v in rates], answer, "CSV says the same")
    geo = server.get("/collections/nl/position", coords=HELDER, f="GeoJSON").json()
    expect(geo["features"][0]["properties"]["rainrate"] == rates, answer, "GeoJSON says the same")
    one = server.get("/collections/nl/position", coords=HELDER, datetime="2010-08-26T02:15:00Z").json()
    expect(one["domain"]["axes"]["t"]["values"] == ["2010-08-26T02:15:00Z"], answer, "one time")
    expect(one["ranges"]["rainrate"]["values"] == rates[2:3], answer, "the value of that time")
    # OWSLib's spelling, and intervals that are open.
    alias = server.get("/collections/nl/position?parameter_names=rainrate&coords=POINT%284.76+52.96%29"
                       "&datetime=2010-08-26T02%3A50%3A00Z%2F..").json()
    expect(list(alias["ranges"]) == ["rainrate"] and alias["ranges"]["rainrate"]["values"] == rates[9:], answer, "alias")
    many = server.get("/collections/nl/position", coords="MULTIPOINT((4.76 52.96),(4.8 52.9))").json()
    expect(many["type"] == "CoverageCollection" and len(many["coverages"]) == 2, answer, "two points")
    location = server.get("/collections/nl/locations/helder").json()
    expect(location["ranges"]["rainrate"]["values"] == rates, answer, "a place by its name")
    places = server.get("/collections/nl/locations").json()["features"]
    expect([p["id"] for p in places] == ["helder"], answer, "Paris is not in the region")
    instance = server.get("/collections/nl/instances").json()["instances"][0]["id"]
    same = server.get(f"/collections/nl/instances/{instance}/position", coords=HELDER).json()
    expect(instance == "20100826T020000Z" and same == cover, answer, "the instance is the forecast")
    observed = server.get("/collections/nl-observed/position", coords=HELDER).json()
    expect(observed["domain"]["axes"]["t"]["values"][-1] == "2010-08-26T02:00:00Z", answer, "observations")
    return rates


def areas(server, folder):
    cube = server.get("/collections/nl/cube", bbox=BOX, datetime="2010-08-26T02:05:00Z", parameter_name="rainrate")
    grid = cube.json()
    axes = grid["domain"]["axes"]
    expect(grid["domain"]["domainType"] == "Grid", cube, "a grid")
    shape = grid["ranges"]["rainrate"]["shape"]
    expect(shape == [1, len(axes["y"]["values"]), len(axes["x"]["values"])], cube, "shape")
    # The value of a point of the grid is that of the point.
    index = shape[1] // 2 * shape[2] + shape[2] // 2
    lon, lat = axes["x"]["values"][shape[2] // 2], axes["y"]["values"][shape[1] // 2]
    point = server.get("/collections/nl/position", coords=f"POINT({lon} {lat})", datetime="2010-08-26T02:05:00Z").json()
    expect(point["ranges"]["rainrate"]["values"][0] == grid["ranges"]["rainrate"]["values"][index], cube, "point and cube")
    polygon = "POLYGON((4.5 52.7,5.0 52.7,5.0 53.1,4.5 52.7))"
    area = server.get("/collections/nl/area", coords=polygon, datetime="2010-08-26T02:05:00Z", parameter_name="rainrate").json()
    inside, box = (sum(v is not None for v in g["ranges"]["rainrate"]["values"]) for g in (area, grid))
    expect(0.4 * box < inside < 0.6 * box, cube, f"a triangle is half of its box: {inside} of {box}")
    radius = server.get("/collections/nl/radius", coords=HELDER, within=10, within_units="km",
                        datetime="2010-08-26T02:05:00Z", parameter_name="rainrate").json()
    known = sum(v is not None for v in radius["ranges"]["rainrate"]["values"])
    expect(270 < known < 360, cube, f"10 km around are about 314 cells of 1 km: {known}")
    line = server.get("/collections/nl/trajectory", coords="LINESTRING(4.6 52.8,4.8 52.9)", datetime="2010-08-26T02:05:00Z").json()
    expect(line["domain"]["domainType"] == "Trajectory" and len(line["domain"]["axes"]["composite"]["values"]) > 10, cube, "line")
    timed = server.get("/collections/nl/trajectory", coords="LINESTRINGM(4.6 52.8 1282788300,4.8 52.9 1282790100)").json()
    times = [t for t, _, _ in timed["domain"]["axes"]["composite"]["values"]]
    expect(times[0] == "2010-08-26T02:05:00Z" and times[-1] == "2010-08-26T02:35:00Z", cube, f"a line with times: {times}")
    nc = folder / "cube.nc"
    nc.write_bytes(server.get("/collections/nl/cube", bbox=BOX, f="NetCDF4").body)
    check(squall("info", "--json", nc).json()[0]["count"] == 12, squall("info", nc), "NetCDF of 12 times")


def point(server, rates):
    answer = server.get("/nowcast/point", lon=4.76, lat=52.96)
    said = answer.json()
    expect([s["mm_h"] for s in said["steps"]][1:] == rates, answer, "the steps are the forecast")
    expect(said["coverage"] in ("full", "partial") and said["age_s"] >= 0 and said["instance"] == "20100826T020000Z", answer, "age")
    wet = [m["time"] for m in said["minutes"] if m["mm_h"] is not None and m["mm_h"] >= 0.1]
    expect(said["starts"] == (wet[0] if wet else None), answer, "it starts with the first wet minute")
    expect(said["raining"] == (bool(wet) and wet[0] == said["minutes"][0]["time"]), answer, "raining")
    server.get("/nowcast/point", status=404, lon=2.35, lat=48.86)
    server.get("/nowcast/point", status=400, lon=500, lat=48.86)
    found = server.get("/search", q="HELD").json()["places"]
    expect([p["id"] for p in found] == ["helder"], answer, "search")


def tiles(server, region):
    address = region["forecast"][0]["tiles"]
    path = urllib.parse.urlsplit(address).path.replace("{z}", "8").replace("{x}", "131").replace("{y}", "83")
    tile = server.get(path)
    size, found = pixels(tile)
    expect(size == (256, 256) and len(found) > 3, tile, "rain on the tile")
    expect("immutable" in tile.headers["Cache-Control"], tile, "its address says the time: it never changes")
    expect(pixels(server.get(path.replace(".png", "@2x.png")))[0] == (512, 512), tile, "twice as fine")
    server.get(path, status=304, headers={"If-None-Match": tile.headers["ETag"]})
    empty = server.get(path.replace("/8/131/83", "/8/1/1"))
    expect(pixels(empty)[1] == {0}, empty, "outside the region nothing is drawn")
    server.get(path.replace("/8/131/83", "/8/256/1"), status=404)
    server.get(path.replace("/8/131/83", "/99/1/1"), status=404)
    for time in ("latest", "20100826T020500Z"):
        document = server.get(f"/tiles/nl/latest/{time}/tilejson.json").json()
        expect(document["tilejson"] == "3.0.0" and document["tiles"][0].startswith(server.address), tile, "TileJSON")
    # OGC has row before column.
    ogc = server.get("/collections/nl/map/tiles/WebMercatorQuad/8/83/131", datetime="2010-08-26T02:05:00Z")
    expect(ogc.body == tile.body, ogc, "the same tile by OGC's address")
    links = server.get("/collections/nl/map/tiles").json()["tilesets"][0]["links"]
    expect(any(l.get("templated") for l in links), ogc, "a template")
    matrix = server.get("/tileMatrixSets/WebMercatorQuad").json()["tileMatrices"][8]
    expect(abs(matrix["cellSize"] - 611.4962262) < 1e-4 and matrix["matrixWidth"] == 256, ogc, "the matrix")


def protocol(server):
    answer = server.get("/status")
    expect(answer.headers["Access-Control-Allow-Origin"] == "*" and answer.headers["ETag"], answer, "headers")
    big = server.get("/collections", headers={"Accept-Encoding": "gzip"})
    expect(big.headers["Content-Encoding"] == "gzip" and big.json()["collections"], big, "gzip")
    server.get("/collections", status=304, headers={"If-None-Match": big.headers["ETag"]})
    head = server.get("/collections", method="HEAD")
    expect(head.body == b"" and int(head.headers["Content-Length"]) > 1000, head, "HEAD")
    for method in ("POST", "PUT", "DELETE", "TRACE", "BREW"):
        refused = server.get("/collections", status=405, method=method)
        expect(refused.headers["Allow"] == "GET, HEAD, OPTIONS", refused, "Allow")
    allowed = server.get("/collections", status=204, method="OPTIONS")
    expect("GET" in allowed.headers["Access-Control-Allow-Methods"], allowed, "preflight")
    for path in ("/nothing", "/collections/no", "/collections/nl/instances/19990101T000000Z", "/collections/nl/locations/no",
                 "/regions/no", "/tiles/no/latest/latest/1/1/1.png", "/regions/nl/products/no.nc",
                 "/regions/nl/products/..%2f..%2fsquall.ini"):
        wrong = server.get(path, status=None)
        expect(wrong.status in (400, 404) and wrong.json()["code"], wrong, "code")
    for query in ("", "coords=", "coords=POINT()", "coords=POINT(5)", "coords=POINT(5 x)", "coords=CIRCLE(1 2)", "coords=POINT(1 2",
                  "coords=POLYGON((1 2,3 4,5 6,1 2))", "coords=POINT(5 52)&crs=EPSG:28992", "coords=POINT(5 52)&f=XML",
                  "coords=POINT(5 52)&datetime=yesterday", "coords=POINT(5 52)&parameter-name=snow", "coords=POINT(5 95)",
                  "coords=%zz", "coords=%00"):
        wrong = server.get("/collections/nl/position?" + query.replace(" ", "%20"), status=400)
        expect(wrong.json()["code"] == "InvalidParameterValue" and wrong.json()["description"], wrong, "words")
    for query, kind in (("", "area"), ("coords=POLYGON()", "area"), ("coords=LINESTRING()", "trajectory"), ("bbox=1,2,3", "cube"),
                        ("bbox=3,2,1,4", "cube"), ("coords=POINT(5 52)", "radius"),
                        ("coords=POINT(5 52)&within=10&within-units=parsec", "radius")):
        server.get(f"/collections/nl/{kind}?" + query.replace(" ", "%20"), status=400)
    server.get("/collections/nl/position", status=204, coords=HELDER, datetime="2011-01-01T00:00:00Z")
    server.get("/collections/nl/cube", status=204, bbox="100,10,101,11")
    server.get("/%2e%2e/etc/passwd", status=400)
    server.get("/status?" + "&".join(f"a{i}=1" for i in range(40)), status=413)
    expect("Bearer" not in server.log() and "X-API-Key" not in server.log(), answer, "no secret in the log")


def numbers(server):
    text = server.get("/metrics")
    expect(text.headers["Content-Type"].startswith("text/plain; version=0.0.4"), text, "type")
    lines = dict(line.rsplit(" ", 1) for line in text.body.decode().splitlines() if not line.startswith("#"))
    expect(float(lines['squall_cycles_total{region="nl",method="model"}']) >= 1, text, "cycles are counted")
    # Two workers read side by side: one frame may be there before an older one.
    kept = sum(float(lines.get(f'squall_frames_total{{source="radar",result="{r}"}}', 0)) for r in ("new", "late"))
    expect(kept == 9, text, "frames are counted")
    openmetrics = server.get("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0,*/*;q=0.1"})
    expect(openmetrics.body.endswith(b"# EOF\n") and b"# TYPE squall_cycles counter" in openmetrics.body, openmetrics, "OpenMetrics")
    expect(server.get("/health/ready").json()["status"] == "ready", text, "ready")
    server.get("/health/live")
    document = server.get("/api").json()
    expect(document["openapi"].startswith("3.0") and "/nowcast/point" in document["paths"], text, "OpenAPI")


def scores(server, folder):
    """A later frame is forecast from, and the forecast before it is scored against it."""
    copy_frame("0205", folder)
    server.forecast("nl", "02:05")
    found = server.wait("score", lambda: [s for s in server.get("/skill").json()["scores"] if s["method"] == "model"])
    answer = server.get("/skill")
    expect(found[0]["lead_s"] == 300 and 0 < found[0]["csi"] <= 1 and 0 < found[0]["fss"] <= 1, answer, "a score")
    expect(any(s["method"] == "persistence" for s in answer.json()["scores"]), answer, "persistence beside it")


def main():
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        engine = build_engine(work)
        frames = work / "frames"
        frames.mkdir()
        for time in BEFORE:
            copy_frame(time, frames)
        config = watch_config(frames, more="engines = drift") + f"[engine drift]\nfile = {engine}\n"
        squall("serve", "--config", write(work / "check.ini", f"[server]\ndata = {work}/d\n" + config), "--check")
        with Server(config) as server:
            copy_frame("0200", frames)
            region = of_the_forecast(server, engine)
            same_as_the_command(server, work, engine)
            rates = position(server)
            areas(server, work)
            point(server, rates)
            tiles(server, region)
            protocol(server)
            numbers(server)
            scores(server, frames)
    print("the road is open")


def write(path, text):
    path.write_text(text)
    return path


if __name__ == "__main__":
    main()
