"""Tiny CTranslate2 Whispers for tests: random ones, and ones that write a text known beforehand whatever they hear."""

from pathlib import Path
from typing import Any

import numpy as np

_SPECIALS = ("<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>")
_WIDTH = 64


def save_tiny_edge(
    folder: Path, *, multilingual: bool = False, text: str | None = None, encoder_layers: int = 1
) -> Path:
    """Write `folder/hf` (Hugging Face format) and `folder/ct2` (CTranslate2, float32); gives the latter.

    Args:
        text: what the model writes for any sound; None for a model of random weights.
    """
    import torch
    from ctranslate2.converters import TransformersConverter
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperTokenizerFast,
    )

    # Laid out as Whisper's vocabularies are, by which CTranslate2 tells English-only and multilingual models apart.
    end = 50257 if multilingual else 50256
    languages = ["<|en|>", "<|de|>", *(f"<|language-{index}|>" for index in range(97))]
    specials = ["<|endoftext|>", "<|startoftranscript|>", *languages, *_SPECIALS]
    vocabulary = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary += [f"\u0100{index}" for index in range(end - len(vocabulary))]
    if multilingual:
        vocabulary[-1] = ""
    tokenizer = Tokenizer(models.BPE({token: index for index, token in enumerate(vocabulary)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    torch.manual_seed(3)
    whisper = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=tokenizer.get_vocab_size() + 1501,
            d_model=_WIDTH,
            encoder_layers=encoder_layers,
            decoder_layers=1,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=_WIDTH,
            decoder_ffn_dim=_WIDTH,
            init_std=0.3,
            bos_token_id=end,
            eos_token_id=end,
            pad_token_id=end,
            decoder_start_token_id=end + 1,
        )
    )
    whisper.generation_config = GenerationConfig(
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=end + 1,
        is_multilingual=multilingual,
        lang_to_id={language: tokenizer.token_to_id(language) for language in languages},
        # As Whisper has them: no bracket, and no end before the first token.
        suppress_tokens=[tokenizer.token_to_id("[")],
        begin_suppress_tokens=[end],
    )
    if text is not None:
        prompt = 4 if multilingual else 2
        written = tokenizer.encode(f" {text}", add_special_tokens=False).ids if text else []
        _write_by_heart(whisper, [end] * (prompt - 1) + written, end)
    whisper.save_pretrained(folder / "hf")
    WhisperTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|endoftext|>", eos_token="<|endoftext|>", unk_token="<|endoftext|>"
    ).save_pretrained(folder / "hf")
    WhisperFeatureExtractor().save_pretrained(folder / "hf")
    TransformersConverter(str(folder / "hf"), copy_files=["tokenizer.json"]).convert(str(folder / "ct2"))
    return folder / "ct2"


def _write_by_heart(whisper: Any, tokens: list[int], end: int) -> None:
    """Let the decoder's layers do nothing, and each position's embedding name the token that comes next."""
    import torch

    decoder = whisper.model.decoder
    with torch.no_grad():
        for layer in decoder.layers:
            for part in (layer.self_attn.out_proj, layer.encoder_attn.out_proj, layer.fc2):
                part.weight.zero_()
                part.bias.zero_()
        signs = np.random.default_rng(0).choice([-1.0, 1.0], size=tuple(decoder.embed_tokens.weight.shape))
        decoder.embed_tokens.weight.copy_(torch.tensor(signs, dtype=torch.float32))
        following = tokens + [end] * (len(decoder.embed_positions.weight) - len(tokens))
        decoder.embed_positions.weight.copy_(8 * decoder.embed_tokens.weight[following])
