#!/usr/bin/env python3
"""Run all node cases of PyPI's onnx on the reference backend and hold the count of those that pass.

Makes a virtual environment in the build folder, writes the cases as text, and gives them to
test_ref_node and, those whose nodes hold graphs, to test_compile_node. docs/operators.md says how
each operator fared and must be as this run has it; with the argument --write it is written anew.
Exits 77 (skipped) where PyPI cannot be reached.
"""
import collections
import json
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from pypi import BUILD, python_with

ONNX = "onnx==1.23.2"
CASES = 1884  # of that version
FLOOR = 1596  # raise it with what comes to pass; it never goes down

SOURCE = pathlib.Path(os.environ["SQUALL_SOURCE"])
DUMP = BUILD / "onnx-node-cases"

WRITE = """
import sys
sys.path.insert(0, sys.argv[1])
import ref_case_format
with open(sys.argv[2], "w") as out:
    for _, _, text in ref_case_format.onnx_cases():
        out.write(text)
"""


# What the document needs of ONNX itself: by case its operator, by operator the opsets that have it.
FACTS = """
import json, sys, warnings
warnings.simplefilter("ignore")
import onnx
from onnx.backend.test.case.node import collect_testcases
cases = {}
for case in collect_testcases(None):
    nodes = case.model.graph.node
    cases[case.name] = nodes[0].op_type if len(nodes) == 1 else "(expanded)"
opsets = {}
for schema in onnx.defs.get_all_schemas_with_history():
    if schema.domain == "":
        opsets.setdefault(schema.name, {})[schema.since_version] = schema.deprecated
json.dump({"cases": cases, "opsets": opsets}, sys.stdout)
"""
OLDEST, NEWEST = 7, 23  # opsets that the importer takes

HEAD = """%d of %d cases of `onnx.backend.test.case.node` (PyPI's %s) pass on the reference backend, within the cases' own tolerance.

# Operators

Written by `tests/checks/onnx_node_cases.py --write`; the check fails when this page is stale.

- *opsets*: those of %d to %d, which the importer takes, in which ONNX has the operator.
- *ref*, *cpu*, *cuda*: the backends that have it. ref has every operator that squall knows; cpu and cuda have kernels for common
  forms of theirs and leave the others to ref, with a reason in the notes of the build. `graph`: it is unrolled or folded when shapes are inferred.
- *cases*: how many of ONNX's cases for this operator alone pass. `(expanded)` are cases of several nodes.
- Where a shape hangs on data (TopK's k, NonZero, Compress, Unique, NonMaxSuppression, a Reshape's shape, how often a Loop runs), a
  network is compiled when that is constant, or follows from the shapes of its inputs, and refused with this reason when it is not.

| operator | opsets | ref | cpu | cuda | cases | why others fail |
|---|---|---|---|---|---|---|
"""


def known_operators():
    table = (SOURCE / "src/nn/op/op_table.inc").read_text()
    return dict(re.findall(r"^OP\(\d+, ([A-Z]\w*), (\w+)\)", table, re.MULTILINE))


def kernels(room):
    """The operators that a backend's driver tables name."""
    found = set()
    for source in sorted((SOURCE / "src/nn" / room).glob("*.c")):
        found |= set(re.findall(r"^\s*\{\s*SQ_OP_(\w+),", source.read_text(), re.MULTILINE))
    return found - {"NONE"}


def shorten(why):
    """The reason without what differs from case to case."""
    if "numbers of value" in why:
        return "numbers differ by more than the tolerance"
    if "not in the table" in why:
        return "squall has no such operator"
    why = re.sub(r"^SQUALL_E_\w+: .*?(?:\(\w+\)|note; first: node .*?\)): ", "", why)
    return why.replace("|", "/").strip()


def span(versions):
    """"7-23" of {since: deprecated}, within what the importer takes; "" outside."""
    ordered = sorted((int(since), gone) for since, gone in versions.items())
    first = max(OLDEST, ordered[0][0])
    last = NEWEST
    for since, gone in ordered:
        if gone:
            last = min(last, since - 1)
    if first > last:
        return "from %d" % ordered[0][0] if first > NEWEST else "until %d" % last
    return "%d-%d" % (first, last) if first < last else str(first)


def document(facts, failed, total, passed):
    known, cpu, cuda = known_operators(), kernels("cpu"), kernels("cuda")
    number = collections.Counter(facts["cases"].values())
    reasons = collections.defaultdict(collections.Counter)
    for name, why in failed.items():
        reasons[facts["cases"][name]][shorten(why)] += 1
    lines = [HEAD % (passed, total, ONNX.replace("==", " "), OLDEST, NEWEST)]
    for op in sorted(set(number) | {k for k in known if k in facts["opsets"]}):
        why = reasons[op]
        mark = "graph" if known.get(op) == "control" else "yes" if op in known else "-"
        lines.append("| %s | %s | %s | %s | %s | %d of %d | %s |\n" % (
            op, span(facts["opsets"][op]) if op in facts["opsets"] else "-",
            mark if op != "(expanded)" else "yes", "yes" if op in cpu else "-",
            "yes" if op in cuda else "-", number[op] - sum(why.values()), number[op],
            "; ".join("%s (%d)" % item for item in sorted(why.items()))))
    return "".join(lines)


def run(program):
    """Its counts, and why each case failed."""
    done = subprocess.run([BUILD / "tests" / program, "--all", DUMP], capture_output=True, text=True)
    print("\n".join(line for line in done.stdout.splitlines()
                    if not line.startswith(("FAIL", "skip"))), done.stderr, sep="\n")
    found = re.search(r"^(\d+) of (\d+) pass$", done.stdout, re.MULTILINE)
    if done.returncode != 0 or not found:
        sys.exit("%s ended with %d" % (program, done.returncode))
    failed = dict(re.findall(r"^(?:FAIL|skip) (\w+): (.*)$", done.stdout, re.MULTILINE))
    return int(found[1]), int(found[2]), failed


def main():
    python = python_with("venv-onnx", ONNX)
    DUMP.mkdir(exist_ok=True)
    subprocess.run([python, "-c", WRITE, SOURCE / "tests/expected", DUMP / "all.cases"], check=True)
    passed, total, failed = 0, 0, {}
    for program in ("test_ref_node", "test_compile_node"):
        more = run(program)
        passed, total = passed + more[0], total + more[1]
        failed.update(more[2])
    if total != CASES:
        sys.exit("%d cases were run, %s has %d" % (total, ONNX, CASES))
    if passed < FLOOR:
        sys.exit("%d pass; it was %d (test_ref_node --all %s tells which do not)"
                 % (passed, FLOOR, DUMP))
    if passed > FLOOR:
        print("%d pass: raise FLOOR, it is %d" % (passed, FLOOR))
    facts = json.loads(subprocess.run([python, "-c", FACTS], check=True, capture_output=True,
                                      text=True).stdout)
    page, path = document(facts, failed, total, passed), SOURCE / "docs/operators.md"
    if "--write" in sys.argv[1:]:
        path.write_text(page)
    elif not path.exists() or path.read_text() != page:
        sys.exit("docs/operators.md is stale; write it anew with --write")


if __name__ == "__main__":
    main()
