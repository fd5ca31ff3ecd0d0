"""An untrained model with its processor, in the classes any LLaVA checkpoint is made of."""

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
WORD_STD = 0.7  # as large as image tokens: at the usual 0.02 words drown in what attention adds to them
HEAD = 16
LIKENESS = 0.7
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] if part['type'] == 'image' %}" + IMAGE + "{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}" + ANSWER + "{% endif %}"
)


def build_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE learned from `texts`, so that any other text has tokens too; digits stay single."""
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
    """The processor that resizes to the recipe's square and writes the prompt."""
    side = {"height": recipe.image, "width": recipe.image}
    return LlavaProcessor(
        SiglipImageProcessorPil(size=side),
        tokenizer,
        patch_size=recipe.patch,
        vision_feature_select_strategy="full",
        chat_template=CHAT_TEMPLATE,
    )


def build_model(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> LlavaForConditionalGeneration:
    """The model with random weights."""
    sizes = {"hidden_size": recipe.width, "num_attention_heads": recipe.width // HEAD}
    vision = SiglipVisionConfig(
        **sizes,
        num_hidden_layers=recipe.tower_layers,
        intermediate_size=4 * recipe.width,
        image_size=recipe.image,
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
    model.model.language_model.set_attn_implementation("eager")  # which can tell what is attended to
    _initialise(model)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.max_new_tokens = recipe.max_tokens
    return model


def _initialise(model: LlavaForConditionalGeneration) -> None:
    """Start the decoder so that tokens look at their like.

    Weights are scaled to their inputs: transformers' usual 0.02 is meant for far wider models. Keys begin as
    queries, so that attention begins as likeness, gently ("mimetic initialisation", arXiv 2305.09828).
    """
    torch.nn.init.normal_(model.get_input_embeddings().weight, std=WORD_STD)
    torch.nn.init.normal_(model.lm_head.weight, std=model.lm_head.in_features**-0.5)
    for layer in model.model.language_model.layers:
        for linear in (module for module in layer.modules() if isinstance(module, torch.nn.Linear)):
            torch.nn.init.normal_(linear.weight, std=linear.in_features**-0.5)
        with torch.no_grad():
            layer.self_attn.q_proj.weight.mul_(LIKENESS)
            layer.self_attn.k_proj.weight.copy_(layer.self_attn.q_proj.weight)
            layer.self_attn.o_proj.weight.mul_(0.5)
            layer.mlp.down_proj.weight.mul_(0.5)
