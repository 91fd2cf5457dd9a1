"""The alert rules and the Grafana dashboard ask only for metrics that the service has; promtool checks the rules where it is installed."""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from program import SOURCE

NAME = re.compile(r"\bsquall_[a-z_]+")


def known():
    """Names of the families, with what histograms add to them, from the sources that make them."""
    names = set()
    for path in (SOURCE / "src/svc").rglob("*.c"):
        names.update(re.findall(r'"(squall_[a-z_]+)"', path.read_text()))
    return names | {f"{n}_{part}" for n in names for part in ("bucket", "sum", "count")}


def main():
    families = known()
    rules = SOURCE / "packaging/prometheus/squall-rules.yml"
    dashboard = json.loads((SOURCE / "packaging/grafana/squall.json").read_text())
    expressions = re.findall(r"expr: (.*)", rules.read_text())
    expressions += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked = {name for e in expressions for name in NAME.findall(e)}
    if len(asked) < 15 or asked - families:
        sys.exit(f"FAILED: no such metrics: {sorted(asked - families)}")
    promtool = shutil.which("promtool")
    if promtool:
        done = subprocess.run([promtool, "check", "rules", str(rules)], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"FAILED: promtool: {done.stdout}{done.stderr}")
        with tempfile.TemporaryDirectory() as folder:  # the dashboard's expressions parse, too
            lines = "".join(f"      - record: 'x:{i}'\n        expr: {json.dumps(e)}\n" for i, e in enumerate(expressions))
            path = pathlib.Path(folder) / "dashboard.yml"
            path.write_text("groups:\n  - name: dashboard\n    rules:\n" + lines)
            done = subprocess.run([promtool, "check", "rules", str(path)], capture_output=True, text=True)
            if done.returncode != 0:
                sys.exit(f"FAILED: promtool: {done.stdout}{done.stderr}")
    print(f"{len(expressions)} expressions ask for {len(asked)} metrics{'' if promtool else '; promtool is not installed'}")


if __name__ == "__main__":
    main()
