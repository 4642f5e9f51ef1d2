"""The files that run without torch: Whisper base's decoder and encoder, and the tagger's network.

    python export_runtime.py --whisper WHISPER_DIR --ct2 CT2_DIR --tagger w256-1.pt --output EXPORT

CT2_DIR is the converter's int8 model of WHISPER_DIR; its encoder's layers are taken out, and CTranslate2 runs the
decoder. onnxruntime runs the encoder, which gives layers 2 to 4 as well, and the network. The encoder's matrices are
int8 in blocks of 64 with a scale each (`MatMulNBits`), the network's in blocks of 32, computed in int8; all else is
float. Writes manifest.json: bytes and SHA-256 of each file. Knows nothing of training or of tags.
"""

import argparse
import hashlib
import io
import json
import shutil
import struct
from pathlib import Path

import numpy as np
import onnx
import torch
from safetensors.torch import load_file
from tagger_network import FrameTagger
from torch import Tensor, nn
from torch.nn import functional
from transformers import WhisperFeatureExtractor

WIDTH, HEADS, LAYERS = 512, 8, 6
MIDDLE = (2, 3, 4)
_MEL_SHAPE, _FRAMES = (1, 80, 3000), 1500
# Values of a matrix that share a scale.
_ENCODER_BLOCK, _TAGGER_BLOCK = 64, 32
# Float constants of more values than this are stored as float16.
_LARGE_CONSTANT = 100_000
# Whisper's tokens of its 99 languages.
_LANGUAGE_TOKENS = range(50259, 50358)
# Mean emotion logits of plain speech by strangers (LibriSpeech, Picovoice, Amazon Queen).
_TYPICAL_LOGITS = (6.0, -1.7, -2.6, -3.6, -5.5, -2.9, -4.1)
_FILES = (
    "model.bin",
    "encoder.onnx",
    "tagger.onnx",
    "emotion.npz",
    "config.json",
    "vocabulary.json",
    "tokenizer.json",
)
# What each part of a layer is called in Whisper's weights.
_LAYER_NAMES = {
    "n1": "self_attn_layer_norm",
    "n2": "final_layer_norm",
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "o": "self_attn.out_proj",
    "f1": "fc1",
    "f2": "fc2",
}


class Encoder(nn.Module):
    """Mel (1, 80, 3000) to the encoder's output and layers 2 to 4 (1, 3, 1500, 512)."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        w = {
            k.removeprefix("model.encoder."): v.float()
            for k, v in load_file(folder / "model.safetensors").items()
            if k.startswith("model.encoder.")
        }
        self.conv1, self.conv2 = nn.Conv1d(80, WIDTH, 3, padding=1), nn.Conv1d(WIDTH, WIDTH, 3, stride=2, padding=1)
        for name in ("conv1", "conv2"):
            getattr(self, name).load_state_dict({"weight": w[f"{name}.weight"], "bias": w[f"{name}.bias"]})
        self.positions = nn.Parameter(w["embed_positions.weight"])
        self.layers = nn.ModuleList()
        for i in range(LAYERS):
            layer = nn.ModuleDict(
                {
                    "n1": nn.LayerNorm(WIDTH),
                    "n2": nn.LayerNorm(WIDTH),
                    "q": nn.Linear(WIDTH, WIDTH),
                    "k": nn.Linear(WIDTH, WIDTH, bias=False),
                    "v": nn.Linear(WIDTH, WIDTH),
                    "o": nn.Linear(WIDTH, WIDTH),
                    "f1": nn.Linear(WIDTH, 4 * WIDTH),
                    "f2": nn.Linear(4 * WIDTH, WIDTH),
                }
            )
            for short, long in _LAYER_NAMES.items():
                layer[short].load_state_dict({k: w[f"layers.{i}.{long}.{k}"] for k in layer[short].state_dict()})
            self.layers.append(layer)
        self.norm = nn.LayerNorm(WIDTH)
        self.norm.load_state_dict({"weight": w["layer_norm.weight"], "bias": w["layer_norm.bias"]})

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        x = functional.gelu(self.conv2(functional.gelu(self.conv1(mel)))).transpose(1, 2) + self.positions
        seen = []
        for number, layer in enumerate(self.layers, 1):
            y = layer["n1"](x)
            q, k, v = (layer[name](y).view(1, _FRAMES, HEADS, WIDTH // HEADS).transpose(1, 2) for name in "qkv")
            q = q * (WIDTH // HEADS) ** -0.5
            z = torch.softmax(q @ k.transpose(2, 3), -1) @ v
            x = x + layer["o"](z.transpose(1, 2).reshape(1, _FRAMES, WIDTH))
            x = x + layer["f2"](functional.gelu(layer["f1"](layer["n2"](x))))
            if number in MIDDLE:
                seen.append(x)
        return self.norm(x), torch.stack(seen, 1)


class Tagger(nn.Module):
    """The frame network with probabilities as its outputs, all in one array of 22 columns."""

    def __init__(self, path: Path, width: int) -> None:
        super().__init__()
        self.network = FrameTagger(width=width)
        self.network.load_state_dict({k: v.float() for k, v in torch.load(path, map_location="cpu").items()})

    def forward(self, middle: Tensor, inside: Tensor) -> Tensor:
        out = self.network(middle, inside > 0.5)
        return torch.cat(
            [
                out["events"].softmax(-1),
                out["delivery"].sigmoid(),
                out["stammers"].sigmoid(),
                out["stress"],
                out["emotion"],
            ],
            -1,
        )


def export(module: nn.Module, inputs: tuple[Tensor, ...], names: list[str], outputs: list[str], path: Path) -> None:
    """Write a module as ONNX in float32."""
    with torch.no_grad():
        torch.onnx.export(
            module.eval(), inputs, str(path), input_names=names, output_names=outputs, opset_version=17, dynamo=False
        )


def quantise_blocks(source: Path, target: Path, block: int, bits: int = 8) -> None:
    """Matrices as int8 in blocks with a scale each, large constants as float16."""
    from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

    config = DefaultWeightOnlyQuantConfig(block_size=block, is_symmetric=True, accuracy_level=4, bits=bits)
    quantizer = MatMulNBitsQuantizer(onnx.load(str(source)), algo_config=config)
    quantizer.process()
    onnx.save(_halve(quantizer.model.model), str(target))


def _halve(model: onnx.ModelProto) -> onnx.ModelProto:
    """Large float constants (convolutions, positions) stored as float16 and widened when the model is loaded."""
    graph = model.graph
    for tensor in list(graph.initializer):
        if (
            tensor.data_type == onnx.TensorProto.FLOAT
            and np.prod(tensor.dims) > _LARGE_CONSTANT
            and "scale" not in tensor.name.lower()
        ):
            values = onnx.numpy_helper.to_array(tensor).astype(np.float16)
            graph.initializer.remove(tensor)
            graph.initializer.append(onnx.numpy_helper.from_array(values, tensor.name + "_half"))
            graph.node.insert(
                0, onnx.helper.make_node("Cast", [tensor.name + "_half"], [tensor.name], to=onnx.TensorProto.FLOAT)
            )
    return model


def without_encoder(data: bytes) -> bytes:
    """A CTranslate2 Whisper (binary version 6) less the layers of its encoder."""
    stream = io.BytesIO(data)

    def number(code: str) -> int:
        return int(struct.unpack("<" + code, stream.read(struct.calcsize(code)))[0])

    def text() -> bytes:
        return stream.read(number("H"))[:-1]

    def pack(value: bytes) -> bytes:
        return struct.pack("<H", len(value) + 1) + value + b"\0"

    head = struct.pack("<I", number("I")) + pack(text()) + struct.pack("<I", number("I"))
    kept = []
    for _ in range(number("I")):
        name = text()
        shape = [number("I") for _ in range(number("B"))]
        kind, size = number("B"), number("I")
        values = stream.read(size)
        if name.startswith(b"encoder/layer_") and not name.startswith((b"encoder/layer_norm", b"encoder/layer_0/")):
            continue
        if name.startswith(b"encoder/layer_0/") and len(shape) == 2:  # CTranslate2 wants one layer; nobody runs it
            shape[0], values = 1, values[: size // shape[0]]
        elif name.startswith(b"encoder/layer_0/") and name.endswith(b"weight_scale"):
            shape, values = [1], values[: size // shape[0]]
        if name.startswith(b"encoder/") and (b"conv" in name or b"position" in name) and len(shape) > 1:
            width = size // int(np.prod(shape))
            if b"position" in name:
                shape[0], values = 1, values[: width * shape[1]]
            else:  # one channel in: never used
                array = np.frombuffer(values, np.uint8).reshape(*shape, width)[:, :1]
                shape, values = [shape[0], 1, *shape[2:]], np.ascontiguousarray(array).tobytes()
        kept.append(
            pack(name)
            + struct.pack("<B", len(shape))
            + b"".join(struct.pack("<I", d) for d in shape)
            + struct.pack("<BI", kind, len(values))
            + values
        )
    aliases = [(text(), text()) for _ in range(number("I"))]
    names = {k[2 : 2 + struct.unpack("<H", k[:2])[0] - 1] for k in kept}
    aliases = [(a, b) for a, b in aliases if b in names]
    return (
        head
        + struct.pack("<I", len(kept))
        + b"".join(kept)
        + struct.pack("<I", len(aliases))
        + b"".join(pack(a) + pack(b) for a, b in aliases)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whisper", type=Path, required=True)
    parser.add_argument("--ct2", type=Path, required=True)
    parser.add_argument("--tagger", type=Path, required=True)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--only-tagger", action="store_true")
    options = parser.parse_args()
    out = options.output
    out.mkdir(parents=True, exist_ok=True)
    if not options.only_tagger:
        export(
            Encoder(options.whisper),
            (torch.randn(_MEL_SHAPE),),
            ["mel"],
            ["encoded", "middle"],
            out / "encoder-f32.onnx",
        )
        quantise_blocks(out / "encoder-f32.onnx", out / "encoder.onnx", _ENCODER_BLOCK)
        (out / "model.bin").write_bytes(without_encoder((options.ct2 / "model.bin").read_bytes()))
        for name in ("config.json", "vocabulary.json", "tokenizer.json"):
            shutil.copy(options.ct2 / name, out / name)
        config = json.loads((out / "config.json").read_text())
        config["lang_ids"] = list(_LANGUAGE_TOKENS)  # the fetched model names English only
        (out / "config.json").write_text(json.dumps(config, indent=1))
    export(
        Tagger(options.tagger, options.width),
        (torch.randn(1, len(MIDDLE), _FRAMES, WIDTH), torch.ones(1, _FRAMES)),
        ["middle", "inside"],
        ["frames"],
        out / "tagger-f32.onnx",
    )
    quantise_blocks(out / "tagger-f32.onnx", out / "tagger.onnx", _TAGGER_BLOCK)
    mel_filters = np.asarray(WhisperFeatureExtractor().mel_filters, np.float32)
    np.savez(out / "emotion.npz", mel_filters=mel_filters, typical=np.array(_TYPICAL_LOGITS, np.float32))
    sizes = {
        n: {"bytes": (out / n).stat().st_size, "sha256": hashlib.sha256((out / n).read_bytes()).hexdigest()}
        for n in _FILES
    }
    sizes["total"] = {"bytes": sum(v["bytes"] for v in sizes.values())}
    (out / "manifest.json").write_text(json.dumps(sizes, indent=1) + "\n")
    print(json.dumps({k: v["bytes"] for k, v in sizes.items()}))


if __name__ == "__main__":
    main()
