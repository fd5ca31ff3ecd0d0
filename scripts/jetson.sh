# What scripts/install does on a Jetson, where torch belongs to JetPack. To be sourced. The functions expect `here`, the folder of
# this repository; `python`, the system's interpreter; `prefix`, the venv; `pip`, its command; `fail` and `has_module`; and add to
# the list `remains`.

is_jetson() {
    grep -aqs 'nvidia,tegra' /proc/device-tree/compatible /sys/firmware/devicetree/base/compatible || [ -e /etc/nv_tegra_release ]
}

# The version in words. The first line of /etc/nv_tegra_release is like "# R36 (release), REVISION: 4.3, GCID: …".
jetpack() {
    local release
    release=$(sed -nE '1s/^# R([0-9]+).*REVISION: ([0-9.]+).*/\1.\2/p' /etc/nv_tegra_release 2>/dev/null || true)
    case $release in
        38.*) echo "JetPack 7 (Jetson Linux $release)" ;;
        36.*) echo "JetPack 6 (Jetson Linux $release)" ;;
        35.*) echo "JetPack 5 (Jetson Linux $release)" ;;
        ?*) echo "Jetson Linux $release" ;;
        *) echo "Jetson Linux of an unknown version: there is no /etc/nv_tegra_release" ;;
    esac
}

see_system_packages() {
    sed -i "s/^include-system-site-packages = .*/include-system-site-packages = $1/" "$prefix/pyvenv.cfg"
}

# The version of an interpreter's torch and whether it sees a GPU, as "2.5.0a0+… cuda" or "2.8.0 cpu"; "none" without torch; else
# the last line of the error. Never empty.
torch_of() {
    local said
    said=$("$1" - 2>&1 <<'PYTHON' || true
import importlib.util

if importlib.util.find_spec("torch") is None:
    print("none")
else:
    import torch

    print(torch.__version__, "cuda" if torch.cuda.is_available() else "cpu")
PYTHON
    )
    said=${said##*$'\n'}
    echo "${said:-Python ended without a word while it loaded torch}"
}

# The torch to keep: that of an earlier installation if it sees the GPU, else the system's.
torch_of_board() {
    local own=none
    [ ! -x "$prefix/bin/python" ] || own=$(torch_of "$prefix/bin/python")
    case $own in
        *" cuda") echo "$own" ;;
        *) torch_of "$python" ;;
    esac
}

# Ends the installation without a torch, which is not ours to install.
require_torch() {
    local problem
    case $1 in
        *" cuda") return ;;
        *" cpu")
            remains+=("torch ${1% cpu} sees no GPU, so models run on the processor. NVIDIA's torch for this JetPack sees it.")
            return
            ;;
        none) problem="the Python of this board ($python) has no torch" ;;
        *) problem="torch does not load: $1" ;;
    esac
    cat >&2 <<END
scripts/install: $(jetpack): $problem. Nothing was changed. One of these helps:
- Install NVIDIA's torch for this JetPack as root, for the whole system, as "Installing PyTorch for Jetson Platform" on
  docs.nvidia.com says. Then run this again. A torch in the ~/.local of a user is not seen.
- Take llama.cpp for the local model, which needs no torch: scripts/install agent llamacpp (docs/engines/llamacpp.md).
- Install the agent alone: scripts/install agent
END
    exit 1
}

# Whether numpy and transformers, if it is there, work with the torch of the board. They are too new for that of JetPack 6.
fits_torch() {
    "$prefix/bin/python" - 2>/dev/null <<'PYTHON'
import importlib.util

import numpy
import torch

torch.from_numpy(numpy.zeros(1))
if importlib.util.find_spec("transformers"):
    from transformers.utils import is_torch_available

    assert is_torch_available()
PYTHON
}

# Makes the venv use the board's torch, and fails if it is not the same as before. The agent does without one.
fit_torch() {
    local after
    case $1 in *" cuda" | *" cpu") ;; *) return ;; esac
    if [ "$(torch_of "$prefix/bin/python")" != "$1" ]; then
        "$prefix/bin/python" -m pip uninstall --quiet --yes torch 2>/dev/null || true # an earlier installation's, over JetPack's
    fi
    if ! fits_torch; then
        "${pip[@]}" --require-hashes --requirement "$here/requirements/jetpack-6.txt"
        has_module "$prefix/bin/python" torchvision ||
            remains+=("Install the torchvision for this torch, for the whole system, if you want SmolVLM or Idefics3: the last
  transformers that accepts this torch needs it for them.")
    fi
    after=$(torch_of "$prefix/bin/python")
    [ "$after" = "$1" ] || fail "$(jetpack): torch was \"$1\" and would now be \"$after\""
}

check_bitsandbytes() {
    local error
    error=$("$prefix/bin/python" - 2>&1 <<'PYTHON'
import torch
from bitsandbytes.functional import quantize_4bit

quantize_4bit(torch.ones(64, 64, dtype=torch.float16, device="cuda"))
PYTHON
    ) || remains+=("bitsandbytes does not work with this board's GPU (${error##*$'\n'}), so QUANTIZATION=nf4 and int8 fail.
  Choose one:
  - Build it for this board. In a clone of bitsandbytes: cmake -DCOMPUTE_BACKEND=cuda -DCOMPUTE_CAPABILITY=87 -S . && make &&
    $prefix/bin/python -m pip install --no-deps .    (87 is Orin, 72 Xavier, 110 Thor; again after each update)
  - Take llama.cpp with a Q4_K_M file: docs/engines/llamacpp.md.
  - Write QUANTIZATION=none into /etc/inarvl/vlm.env: 16 bits, and so four times the memory.")
}

# Installs jetson-stats for the whole system, if it is missing, and lets the agent read its service.
install_jetson_stats() {
    local options=() folder alone
    if ! has_module "$python" jtop; then
        folder=$("$python" -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
        [ ! -e "$folder/EXTERNALLY-MANAGED" ] || options=(--break-system-packages) # as its maker says for Ubuntu 24.04
        # The system may have no pip. The venv's runs by itself in another folder, where it does not see the venv's packages.
        alone=$(mktemp -d)
        cp -r "$("$prefix/bin/python" -c 'import os, pip; print(os.path.dirname(pip.__file__))')" "$alone"
        if "$python" "$alone/pip" install --quiet --disable-pip-version-check "${options[@]}" --require-hashes \
            --requirement "$here/requirements/jetson.txt"; then
            echo "Installed jetson-stats; its service is jtop"
        else
            remains+=("jetson-stats could not be installed, so power and GPU load of jtop are missing: see above, and run this again")
        fi
        rm -rf "$alone"
    fi
    if getent group jtop >/dev/null; then
        usermod -aG jtop inarvl-agent
    elif "$python" -c 'import jtop' 2>/dev/null; then
        remains+=("jetson-stats has no group jtop yet: systemctl enable --now jtop && usermod -aG jtop inarvl-agent")
    fi
}
