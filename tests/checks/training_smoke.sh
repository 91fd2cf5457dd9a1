# The training road holds: data set by `squall features`, a few steps, export, report.
set -euo pipefail
cd "$SQUALL_SOURCE"
venv=$SQUALL_SOURCE/build/venv-training
if [ ! -e "$venv/complete" ]; then
  python3 -m venv "$venv"
  if ! "$venv/bin/python" -m pip install --quiet -r training/requirements.txt; then
    echo "skipped: PyPI cannot be reached, so PyTorch is not to be had"
    exit 77
  fi
  touch "$venv/complete"
fi
training/train --smoke
