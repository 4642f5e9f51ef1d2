"""A whole offline Whisper and Voxtral, tiny and random, and corpus folders of tones: what training is tested on."""

import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

RATE_HZ = 16_000


def save_tiny_whisper(folder: Path, *, multilingual: bool = True) -> Path:
    """Write a random Whisper with windows of 4 s and a byte-level tokenizer in Hugging Face format."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperTokenizerFast,
    )

    specials = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>", "<|startoflm|>"]
    specials += ["<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={byte: index for index, byte in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    end = tokenizer.token_to_id("<|endoftext|>")
    wrapped = WhisperTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|endoftext|>", eos_token="<|endoftext|>", unk_token="<|endoftext|>"
    )
    torch.manual_seed(0)
    model = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=tokenizer.get_vocab_size() + 1501,
            d_model=64,
            encoder_layers=1,
            decoder_layers=2,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=128,
            decoder_ffn_dim=128,
            # The output layer shares the embeddings and stays frozen: as usually initialised (0.02), so small a model
            # could never be sure of a token, nor hear anything.
            init_std=0.2,
            max_source_positions=200,
            max_target_positions=128,
            bos_token_id=end,
            eos_token_id=end,
            pad_token_id=end,
            decoder_start_token_id=end + 1,
            suppress_tokens=None,
            begin_suppress_tokens=None,
        )
    )
    with torch.no_grad():
        # Padding's row begins as zeros, and padding is the end token here, which could then never be written.
        model.model.decoder.embed_tokens.weight[end].normal_(0, 0.2)
    model.generation_config = GenerationConfig(
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=end + 1,
        is_multilingual=multilingual,
        lang_to_id={"<|en|>": end + 2},
        suppress_tokens=[alphabet.index("[")],
        begin_suppress_tokens=[alphabet.index("Ġ"), end],
    )
    model.save_pretrained(folder)
    wrapped.save_pretrained(folder)
    WhisperFeatureExtractor(chunk_length=4).save_pretrained(folder)
    return folder


# Voxtral's control tokens that a transcription request uses, by id; the ids of others do not matter here.
CONTROLS = {0: "<unk>", 1: "<s>", 2: "</s>", 3: "[INST]", 4: "[/INST]", 11: "<pad>", 24: "[AUDIO]"}
CONTROLS |= {25: "[BEGIN_AUDIO]", 32: "[STREAMING_PAD]", 33: "[STREAMING_WORD]", 34: "[TRANSCRIBE]"}
SPECIALS = 64


def _save_tekken(folder: Path, *, version: str, audio: dict[str, Any]) -> Path:
    """Write a byte-level Tekken tokenizer with Voxtral's audio front end."""
    import mistral_common
    from mistral_common.tokens.tokenizers.base import SpecialTokens

    folder.mkdir(parents=True, exist_ok=True)
    packaged = Path(mistral_common.__file__).parent / "data" / "tekken_240911.json"
    tekken = json.loads(packaged.read_text(encoding="utf-8"))
    tekken["vocab"] = tekken["vocab"][:256]  # the single bytes
    tekken["config"] |= {
        "default_vocab_size": SPECIALS + 256,
        "default_num_special_tokens": SPECIALS,
        "num_vocab_tokens": 256,
        "version": version,
    }
    others = [token.value for token in SpecialTokens if token.value not in CONTROLS.values()]
    free = [rank for rank in range(SPECIALS) if rank not in CONTROLS]
    controls = CONTROLS | dict(zip(free, others, strict=False))
    tekken["special_tokens"] = [
        {"rank": rank, "token_str": controls.get(rank, f"<SPECIAL_{rank}>"), "is_control": True}
        for rank in range(SPECIALS)
    ]
    tekken["audio"] = {
        "sampling_rate": RATE_HZ,
        "frame_rate": 12.5,
        "audio_encoding_config": {"num_mel_bins": 128, "hop_length": 160, "window_size": 400},
        **audio,
    }
    tekken.pop("image", None)
    tekken.pop("multimodal", None)
    path = folder / "tekken.json"
    path.write_text(json.dumps(tekken), encoding="utf-8")
    return path


def save_tiny_voxtral(folder: Path) -> Path:
    """Write a random Voxtral with the real audio front end and prompt, and a byte-level Tekken tokenizer."""
    from transformers import (
        GenerationConfig,
        VoxtralConfig,
        VoxtralForConditionalGeneration,
        VoxtralProcessor,
        WhisperFeatureExtractor,
    )
    from transformers.tokenization_mistral_common import MistralCommonBackend

    path = _save_tekken(folder, version="v7", audio={"chunk_length_s": 30.0})
    processor = VoxtralProcessor(
        WhisperFeatureExtractor(feature_size=128, sampling_rate=RATE_HZ),
        MistralCommonBackend(tokenizer_path=str(path)),
    )
    torch.manual_seed(0)
    model = VoxtralForConditionalGeneration(
        VoxtralConfig(
            audio_config={
                "model_type": "voxtral_encoder",
                "hidden_size": 16,
                "intermediate_size": 64,  # four encoder frames make one audio token
                "num_hidden_layers": 1,
                "num_attention_heads": 1,
                "num_mel_bins": 128,
                "max_source_positions": 1500,
                "initializer_range": 0.2,
            },
            text_config={
                "model_type": "llama",
                "vocab_size": SPECIALS + 256,
                "hidden_size": 64,
                "intermediate_size": 128,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "head_dim": 16,
                "max_position_embeddings": 2048,
                "bos_token_id": 1,
                "eos_token_id": 2,
                "pad_token_id": 11,
                # Embeddings and output layer stay frozen: as usually initialised, so small a model could never be
                # sure of a token.
                "initializer_range": 0.2,
            },
            audio_token_id=24,
            projector_hidden_act="gelu",
        )
    )
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=11)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def save_tiny_realtime(folder: Path, *, windows: tuple[int, int] = (750, 8192)) -> Path:
    """Write a random Voxtral Realtime with the real audio front end, and a byte-level Tekken tokenizer.

    Args:
        windows: how far the attention of encoder and decoder looks back.
    """
    from transformers import (
        GenerationConfig,
        VoxtralRealtimeConfig,
        VoxtralRealtimeFeatureExtractor,
        VoxtralRealtimeForConditionalGeneration,
        VoxtralRealtimeProcessor,
    )
    from transformers.tokenization_mistral_common import MistralCommonBackend

    streaming = {
        "transcription_format": "streaming",
        "transcription_delay_ms": 480.0,
        "streaming_look_ahead_ms": 2.5,
        "streaming_look_back_ms": 52.5,
        "streaming_n_left_pad_tokens": 4,
    }
    path = _save_tekken(folder, version="v13", audio=streaming)
    processor = VoxtralRealtimeProcessor(
        VoxtralRealtimeFeatureExtractor(), MistralCommonBackend(tokenizer_path=str(path))
    )
    torch.manual_seed(0)
    model = VoxtralRealtimeForConditionalGeneration(
        VoxtralRealtimeConfig(
            audio_config={
                "model_type": "voxtral_realtime_encoder",
                "hidden_size": 16,
                "intermediate_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 1,
                "head_dim": 16,
                "num_mel_bins": 128,
                "sliding_window": windows[0],
                "initializer_range": 0.2,
                "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
            },
            text_config={
                "model_type": "voxtral_realtime_text",
                "vocab_size": SPECIALS + 256,
                "hidden_size": 64,
                "intermediate_size": 128,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "head_dim": 16,
                "bos_token_id": 1,
                "eos_token_id": 2,
                "pad_token_id": 11,
                "sliding_window": windows[1],
                # Embeddings and output layer are one, and stay frozen: as usually initialised, so small a model could
                # never be sure of a token.
                "initializer_range": 0.2,
                "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
            },
        )
    )
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=11)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def trainee_of(folder: Path, *, language: str | None = "en") -> Any:
    """A saved model as training has it, in float32."""
    from evoxtral.models.checkpoints import load_checkpoint
    from evoxtral.training.trainee import Trainee

    return Trainee(load_checkpoint(folder, dtype=torch.float32), language=language)


def free_port() -> int:
    """A port for two processes to find each other at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def tone(frequency_hz: float, duration_s: float) -> np.ndarray:
    seconds = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    return (0.3 * np.sin(2 * np.pi * frequency_hz * seconds)).astype(np.float32)


def write_corpus(folder: Path, texts: list[str], *, split: str = "train", suffix: str = ".flac") -> Path:
    """Add a clip a text to a corpus folder: one tone each, the next always higher and longer."""
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    with (folder / "clips.jsonl").open("a", encoding="utf-8") as lines:
        for number, text in enumerate(texts):
            audio = f"audio/{split}-{number}{suffix}"
            encoding = {"format": "OGG", "subtype": "OPUS"} if suffix == ".opus" else {}
            soundfile.write(folder / audio, tone(300 * 1.6**number, 1 + 0.5 * number), RATE_HZ, **encoding)
            clip = {"id": f"{split}-{number}", "tagged_text": text, "audio": audio, "split": split, "voice": "tone"}
            lines.write(json.dumps(clip) + "\n")
    return folder
