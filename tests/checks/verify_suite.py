"""squall verify --suite: two sequences, an engine, all methods; its JSON, its page, and what it refuses."""
import pathlib
import sys
import tempfile
import xml.etree.ElementTree as xml

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from program import KNMI, build_engine, check, squall

WINDOW = "200,260,160,128"
COMMON = ("--every", 3600, "--leads", "10,30", "--resamples", 200)


def document(folder, engine):
    page = folder / "report.html"
    ran = squall("verify", "--suite", f"west={KNMI}@{WINDOW}", f"east={KNMI}@360,260,160,128", *COMMON, "--members", 5,
                 "--engine", engine, "--html", page, "--json")
    what = ran.json()
    groups = {(g["kind"], g["name"]): g for g in what["groups"]}
    whole = groups[("all", "all")]
    check(what["issue_times"] == sum(s["issue_times"] for s in what["sequences"]) == 10, ran, "issue times")
    check({("region", "west"), ("region", "east"), ("season", "summer")} <= set(groups), ran, f"groups {list(groups)}")
    check(sum(g["issue_times"] for k, g in groups.items() if k[0] == "regime") == 10, ran, "regimes do not add up")
    check(list(whole["methods"]) == ["extrapolation", "persistence", "sprog", "steps", "drift.engine"], ran, "methods")
    for name, leads in whole["methods"].items():
        check([lead["lead_min"] for lead in leads] == [10, 30], ran, f"lead times of {name}")
        for lead in leads:
            check(len(lead["scores"]) == 9 * 5 + 8, ran, f"{len(lead['scores'])} scores")
            for score, value in lead["scores"].items():
                if value is not None and None not in value:
                    check(value[1] <= value[2], ran, f"{name} {score}: {value}")
            check((name == "extrapolation") == ("against_extrapolation" not in lead), ran, "comparisons")
    return ran, whole["methods"], page


def sense(ran, methods):
    """What must hold of the numbers, whatever the rain."""
    first = {name: leads[0]["scores"] for name, leads in methods.items()}
    for name in ("extrapolation", "persistence", "sprog"):
        check(first[name]["crps"][0] == first[name]["mae"][0], ran, f"{name}: the CRPS of one forecast is its MAE")
    check(first["steps"]["crps"][0] < first["steps"]["mae"][0], ran, "an ensemble that is no better than its mean")
    check(first["extrapolation"]["csi_1"][0] > first["persistence"]["csi_1"][0], ran, "rain moves")
    still = methods["persistence"][0]["against_extrapolation"]["csi_1"]
    difference = first["persistence"]["csi_1"][0] - first["extrapolation"]["csi_1"][0]
    check(abs(still[0] - difference) < 1e-9 and still[2] < 0 and still[3] < 0.05, ran, f"difference {still}")
    curves = methods["steps"][1]["curves"]
    ranks = curves["ranks"]
    check(abs(sum(ranks) - round(sum(ranks))) < 1e-3 and sum(ranks) > 1000, ran, "ranks")
    one = curves["probabilities"]["1"]
    check(one["roc_hits"][-1] == 1 and one["roc_false_alarms"][-1] == 1, ran, "the ROC's end")
    check([p for p in one["probability"] if p is not None] == sorted(p for p in one["probability"] if p is not None), ran,
          "probabilities ascend")


def as_verify_has_it(methods):
    """The pooled CSI and MAE of the same issue times by squall verify, one sequence after the other."""
    rows = {"hits": 0, "misses": 0, "false_alarms": 0, "cells": 0, "error": 0.0}
    for window in (WINDOW, "360,260,160,128"):
        ran = squall("verify", "--every", 3600, "--leads", 10, "--from", "2010-08-26T00:05Z", "--json", "--window", window, KNMI)
        row = ran.json()["scores"]["methods"]["extrapolation"][0]
        for key in ("hits", "misses", "false_alarms", "cells"):
            rows[key] += row[key]
        rows["error"] += row["mae"] * row["cells"]
    csi = rows["hits"] / (rows["hits"] + rows["misses"] + rows["false_alarms"])
    ours = methods["extrapolation"][0]["scores"]
    check(abs(ours["csi_1"][0] - csi) < 1e-9, ran, f"CSI {ours['csi_1'][0]} and {csi}")
    check(abs(ours["mae"][0] - rows["error"] / rows["cells"]) < 1e-9, ran, "MAE")


def page_is_whole(ran, page):
    text = page.read_text()
    for part in text.split("<svg ")[1:]:
        xml.fromstring("<svg " + part.split("</svg>")[0] + "</svg>")
    check(text.count("<svg ") == 20 and "nan" not in text.lower().split("</style>")[1], ran, "plots")
    check("http" not in text.lower(), ran, "it takes something from elsewhere")


with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    engine = build_engine(folder)
    ran, methods, page = document(folder, engine)
    sense(ran, methods)
    as_verify_has_it(methods)
    page_is_whole(ran, page)
short = ("verify", "--suite", f"{KNMI}@{WINDOW}", "--every", 7200, "--leads", 10, "--resamples", 50, "--methods", "steps",
         "--members", 3, "--seed", 5, "--json")
check(squall(*short, "--threads", 1).out == squall(*short, "--threads", 2).out, ran, "other numbers for other threads")
check("csi_1" in squall(*short[:-1]).out, ran, "text")
squall("verify", "--suite", KNMI, "--methods", "magic", code=2, says="'magic' is no method")
squall("verify", "--suite", KNMI, "--leads", "30,10", code=2, says="must ascend")
squall("verify", "--suite", f"{KNMI}@1,2,3", code=2, says="no COL,ROW,WIDTH,HEIGHT")
squall("verify", "--suite", f"{KNMI}@{WINDOW}", "--leads", 360, code=1, says="SQUALL_E_NO_DATA")
print("suite")
