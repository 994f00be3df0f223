#!/usr/bin/env bash
# Measures bptt on a GPU, beside PyTorch's cuDNN layers where Python has them, and writes one table in Markdown.
#
#     benches/gpu.sh --out gpu-table.md                   by Vulkan
#     benches/gpu.sh --feature cuda --out gpu-table.md    by CUDA
#     benches/gpu.sh --help                               what it does, and its other options
#
# It builds the command first. Another Python than `python3`, for example one that has torch: PYTHON=… benches/gpu.sh
set -euo pipefail
exec "${PYTHON:-python3}" "$(dirname "$0")/gpu.py" "$@"
