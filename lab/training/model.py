"""Builds an untrained model and its processor from the transformers classes for LLaVA."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    SiglipImageProcessorPil,
    SiglipVisionConfig,
)

from lab.training.recipes import Recipe

IMAGE, ANSWER, END, PAD = "<image>", "<|answer|>", "<|end|>", "<|pad|>"
VOCABULARY = 640
WORD_STD = 0.7  # that of image tokens; the usual 0.02 is too small compared to the outputs of attention
HEAD_WIDTH = 16
QUERY_SCALE = 0.7
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] if part['type'] == 'image' %}" + IMAGE + "{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}" + ANSWER + "{% endif %}"
)


def build_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Returns a byte-level BPE tokenizer trained on `texts`.

    Any other text can be encoded too. Each digit is one token.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Split(Regex(r" ?\w+| ?[^\w\s]+|\s+"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=[PAD, END, IMAGE, ANSWER],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[IMAGE, ANSWER],
        model_max_length=1024,
    )


def build_processor(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> LlavaProcessor:
    """Returns the processor, which resizes images to the largest resolution and formats the prompt."""
    size = {"height": recipe.max_resolution, "width": recipe.max_resolution}
    return LlavaProcessor(
        SiglipImageProcessorPil(size=size),
        tokenizer,
        patch_size=recipe.patch,
        vision_feature_select_strategy="full",
        chat_template=CHAT_TEMPLATE,
    )


def build_model(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> LlavaForConditionalGeneration:
    """Returns the model with random weights."""
    sizes = {"hidden_size": recipe.width, "num_attention_heads": recipe.width // HEAD_WIDTH}
    vision = SiglipVisionConfig(
        **sizes,
        num_hidden_layers=recipe.tower_layers,
        intermediate_size=4 * recipe.width,
        image_size=recipe.max_resolution,
        patch_size=recipe.patch,
        vision_use_head=False,
    )
    text = LlamaConfig(
        **sizes,
        num_hidden_layers=recipe.decoder_layers,
        intermediate_size=3 * recipe.width,
        vocab_size=len(tokenizer),
        max_position_embeddings=1024,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        projector_hidden_act="gelu",
        tie_word_embeddings=False,
    )
    config.eos_token_id, config.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
    model = LlavaForConditionalGeneration(config)
    model.model.language_model.set_attn_implementation("eager")  # which can return attentions
    _initialise(model)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.max_new_tokens = recipe.max_tokens
    return model


def _initialise(model: LlavaForConditionalGeneration) -> None:
    """Initialises the decoder so that tokens attend to similar tokens.

    Weights have a standard deviation for their number of inputs, because the default of transformers (0.02)
    is for much wider models. Key weights are equal to query weights, so that attention measures similarity
    ("mimetic initialisation", arXiv 2305.09828).
    """
    torch.nn.init.normal_(model.get_input_embeddings().weight, std=WORD_STD)
    torch.nn.init.normal_(model.lm_head.weight, std=model.lm_head.in_features**-0.5)
    for layer in model.model.language_model.layers:
        for linear in (module for module in layer.modules() if isinstance(module, torch.nn.Linear)):
            torch.nn.init.normal_(linear.weight, std=linear.in_features**-0.5)
        with torch.no_grad():
            layer.self_attn.q_proj.weight.mul_(QUERY_SCALE)
            layer.self_attn.k_proj.weight.copy_(layer.self_attn.q_proj.weight)
            layer.self_attn.o_proj.weight.mul_(0.5)
            layer.mlp.down_proj.weight.mul_(0.5)
