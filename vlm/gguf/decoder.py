"""The decoder of a LLaVA checkpoint as llama.cpp's architecture `llama`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from vlm.errors import ModelLoadError
from vlm.gguf.llava_checkpoint import LlavaCheckpoint
from vlm.gguf.precision import Precision, add_tensor

SPLITTER = "starcoder"
"""llama.cpp's name for how text is split before BPE: single digits, then words with the blank before them.

It differs from `lab/training/model.py` only in texts with several blanks in a row.
"""

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<|answer|>{% endif %}"
)
"""As the checkpoints' own, for llama.cpp, which replaces the images in `content` by its marker beforehand."""


def write_decoder(checkpoint: LlavaCheckpoint, name: str, path: Path, precision: Precision) -> None:
    """Writes the decoder with its vocabulary; its matrices in `precision`."""
    import gguf

    config = checkpoint.config["text_config"]
    heads, key_heads = config["num_attention_heads"], config["num_key_value_heads"]
    head_width = config.get("head_dim") or config["hidden_size"] // heads
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[gguf.MODEL_ARCH.LLAMA])
    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{precision.value.upper()}"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(key_heads)
    writer.add_key_length(head_width)
    writer.add_value_length(head_width)
    writer.add_rope_dimension_count(head_width)
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    _add_vocabulary(writer, checkpoint)

    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    for weight, tensor in checkpoint.decoder.items():
        known = names.get_name(weight, try_suffixes=(".weight",))
        if known is None:
            raise ModelLoadError(f"llama.cpp's architecture llama has no weight {weight}")
        rotated = {"q_proj.weight": heads, "k_proj.weight": key_heads}.get(weight.rpartition("self_attn.")[2])
        add_tensor(writer, known, _with_adjacent_pairs(tensor, rotated) if rotated else tensor, precision)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _with_adjacent_pairs(weight: NDArray[Any], heads: int) -> NDArray[Any]:
    """Reorders the rows for llama.cpp, which rotates neighbours; transformers rotates halves of a head."""
    rows, columns = weight.shape
    pairs: NDArray[Any] = weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2)
    return pairs.reshape(rows, columns)


def _add_vocabulary(writer: Any, checkpoint: LlavaCheckpoint) -> None:
    import gguf

    tokenizer, config = checkpoint.tokenizer, checkpoint.config
    special = {token["id"]: token["content"] for token in tokenizer["added_tokens"] if token["special"]}
    texts = {token: text for text, token in tokenizer["model"]["vocab"].items()} | special
    order = range(config["text_config"]["vocab_size"])
    kinds = {True: gguf.TokenType.CONTROL, False: gguf.TokenType.NORMAL}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(SPLITTER)
    writer.add_token_list([texts[token] for token in order])
    writer.add_token_types([kinds[token in special] for token in order])
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)
