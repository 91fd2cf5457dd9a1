"""RainViewer's v2 routes, walked as its clients do: the list of times, then tiles by what the list says."""
import math
import pathlib
import struct
import sys
import tempfile
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from server import Server, copy_frame, expect, watch_config

TILE = "8/131/83"


def read(answer):
    """Side, palette and rows of an indexed PNG."""
    data, at, found, head, palette = answer.body, 8, b"", None, b""
    expect(data[:8] == b"\x89PNG\r\n\x1a\n", answer, "no PNG")
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        head = struct.unpack(">IIB", body[:9]) if kind == b"IHDR" else head
        palette = body if kind == b"PLTE" else palette
        found += body if kind == b"IDAT" else b""
        at += 12 + length
    width, height, depth = head
    raw, row = zlib.decompress(found), width * depth // 8 + 1
    expect(len(raw) == row * height and all(raw[i] == 0 for i in range(0, len(raw), row)), answer, "rows without filters")
    pixels = []
    for y in range(height):
        line = raw[y * row + 1:(y + 1) * row]
        pixels.append([v for byte in line for v in ([byte] if depth == 8 else [byte >> 4, byte & 15])])
    return width, [tuple(palette[i:i + 3]) for i in range(0, len(palette), 3)], pixels


def times(server):
    answer = server.get("/public/weather-maps.json")
    maps = answer.json()
    past, nowcast = maps["radar"]["past"], maps["radar"]["nowcast"]
    expect(maps["version"] == "2.0" and maps["host"] == server.address and maps["generated"] >= past[-1]["time"], answer, "head")
    expect(past[-1]["time"] == 1282788000 and len(past) == 9, answer, "the last radar frame is that of 02:00")
    expect([f["time"] for f in nowcast] == [1282788000 + 300 * k for k in range(1, 13)], answer, "nowcasts go on where the past ends")
    expect(server.get("/regions/nl/public/weather-maps.json").json() == maps, answer, "the same by region")
    server.get("/public/weather-maps.json", status=404, region="nothing")
    return past, nowcast, maps["host"]


def tiles(server, path):
    def get(rest, status=200):
        return server.get(f"{path}/{rest}", status=status)
    plain = get(f"256/{TILE}/2/0_0.png")
    side, palette, pixels = read(plain)
    parts = path.split("/")
    xyz = read(server.get(f"/tiles/nl/{parts[-2]}/{parts[-1]}/{TILE}.png"))
    same = [[0 if v == 11 else v for v in row] for row in xyz[2]]  # there, what is not covered is painted
    expect(side == 256 and pixels == same and palette == xyz[1], plain, "the same picture as the XYZ tile")
    expect(len({v for row in pixels for v in row}) > 3, plain, "rain on it")
    expect("immutable" in plain.headers["Cache-Control"], plain, "its address says the time")
    grey = get(f"256/{TILE}/0/0_0.png")
    expect(read(grey)[2] == pixels and all(r == g == b for r, g, b in read(grey)[1][1:11]), grey, "greys")
    smooth = get(f"256/{TILE}/2/1_1.png")
    flat = [v for row in read(smooth)[2] for v in row]
    before = [v for row in pixels for v in row]
    changed = sum(a != b for a, b in zip(flat, before))
    expect(0 < changed < len(flat) / 2, smooth, f"smoothed: {changed} pixels differ")
    expect(max(abs(a - b) for a, b in zip(flat, before)) >= 1 and max(flat) <= max(before), smooth, "nothing is heavier than it was")
    double = get(f"512/{TILE}/2/0_0.png")
    expect(read(double)[0] == 512, double, "512 pixels")
    # Around the middle of the tile: the same tile.
    lat = math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * 83.5 / 256))))
    centre = get(f"256/8/{lat:.6f}/{131.5 / 256 * 360 - 180:.6f}/2/0_0.png")
    there = sum(a == b for ra, rb in zip(read(centre)[2], pixels) for a, b in zip(ra, rb))
    expect(there > 0.97 * 65536, centre, f"by latitude and longitude: {there} of 65536 pixels agree")
    for wrong in (f"300/{TILE}/2/0_0.png", f"256/{TILE}/9/0_0.png", f"256/{TILE}/2/2_0.png", f"256/{TILE}/2/0.png", "256/15/0/0/2/0_0.png",
                  "256/8/256/0/2/0_0.png", "256/8/95.0/4.9/2/0_0.png", "256/8/nan/4.9/2/0_0.png", "256/8/5.2.1/4.9/2/0_0.png"):
        get(wrong, status=404)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "in").mkdir()
        for hhmm in ("0120", "0125", "0130", "0135", "0140", "0145", "0150", "0155", "0200"):
            copy_frame(hhmm, folder / "in")
        with Server(watch_config(folder / "in"), folder) as server:
            server.forecast("nl", "02:00")
            past, nowcast, _ = times(server)
            tiles(server, nowcast[0]["path"])
            server.get(f"{past[0]['path']}/256/{TILE}/4/1_0.png")
            coverage = server.get(f"/v2/coverage/0/256/{TILE}/0/0_0.png")
            values = {v for row in read(coverage)[2] for v in row}
            expect(values == {0, 11}, coverage, f"covered and not: {values}")
            far = read(server.get("/v2/coverage/0/256/8/1/1/0/0_0.png"))
            expect({v for row in far[2] for v in row} == {11}, coverage, "nothing is covered elsewhere")
    print("RainViewer's clients find what they ask for")


main()
