"""The vision tower and the projector of a LLaVA checkpoint as llama.cpp's `mmproj` file."""

from __future__ import annotations

import re
from pathlib import Path

from vlm.gguf.llava_checkpoint import LlavaCheckpoint
from vlm.gguf.precision import Precision, add_tensor

NAMES = {
    "embeddings.patch_embedding": "v.patch_embd",
    "embeddings.position_embedding": "v.position_embd",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.out_proj": "attn_out",
    "layer_norm1": "ln1",
    "layer_norm2": "ln2",
    "mlp.fc1": "ffn_up",
    "mlp.fc2": "ffn_down",
    "linear_1": "mm.0",
    "linear_2": "mm.2",
}


def write_vision_tower(checkpoint: LlavaCheckpoint, name: str, path: Path) -> None:
    """Writes the tower and the projector with 16-bit matrices; llama.cpp converts the images itself."""
    import gguf

    config, images = checkpoint.config["vision_config"], checkpoint.processor["image_processor"]
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[gguf.MODEL_ARCH.MMPROJ])
    writer.add_type(gguf.GGUFType.MMPROJ)
    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type("mlp")
    writer.add_vision_image_size(config["image_size"])
    writer.add_vision_patch_size(config["patch_size"])
    writer.add_vision_embedding_length(config["hidden_size"])
    writer.add_vision_feed_forward_length(config["intermediate_size"])
    writer.add_vision_projection_dim(checkpoint.config["text_config"]["hidden_size"])
    writer.add_vision_block_count(checkpoint.tower_layers)
    writer.add_array("clip.vision.feature_layer", [checkpoint.tower_layers])  # by default the last but one
    writer.add_vision_head_count(config["num_attention_heads"])
    writer.add_vision_attention_layernorm_eps(config["layer_norm_eps"])
    writer.add_vision_image_mean(images["image_mean"])
    writer.add_vision_image_std(images["image_std"])
    writer.add_vision_use_gelu(True)
    for weight, tensor in {**checkpoint.tower, **checkpoint.projector}.items():
        if (known := _name(weight, checkpoint.tower_layers)) is not None:
            add_tensor(writer, known, tensor, Precision.f16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _name(weight: str, layers: int) -> str | None:
    """Returns llama.cpp's name of a weight; None for those behind the features that the projector uses."""
    module, _, kind = weight.rpartition(".")
    layer = re.fullmatch(r"encoder\.layers\.(\d+)\.(.+)", module)
    if layer is None:
        return f"{NAMES[module]}.{kind}" if module in NAMES else None
    return f"v.blk.{layer[1]}.{NAMES[layer[2]]}.{kind}" if int(layer[1]) < layers else None
