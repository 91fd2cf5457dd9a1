# Every #include keeps to src/LAYERS.
set -euo pipefail
cd "$SQUALL_SOURCE"
python3 tools/check_layers.py .
