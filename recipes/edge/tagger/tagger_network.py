"""The tagger's frame network: three middle layers of Whisper's encoder in, logits for each frame of 20 ms out.

Trained by `train_tagger.py`, exported by `export_runtime.py`. Knows the shapes of layers and classes; nothing of audio
or of what the classes mean.
"""

from torch import Tensor, nn
from torch.nn import functional

_LAYERS, _LAYER_WIDTH = 3, 512
# Blocks see this many frames of 20 ms, spread by the dilation.
_KERNEL_FRAMES, _DILATIONS = 15, (1, 2, 4, 2)


class _Block(nn.Module):
    """Depthwise convolution over time, then a two-layer network, both added to the input."""

    def __init__(self, width: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.mix = nn.Conv1d(width, width, kernel, padding=kernel // 2 * dilation, dilation=dilation, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.mix(x.transpose(1, 2)).transpose(1, 2))
        return x + self.dropout(self.down(functional.gelu(self.up(y))))


class FrameTagger(nn.Module):
    """Frames see 1.3 s around them, and the mean of their window.

    Args:
        width: channels of the network.
        events, emotions: how many classes of each there are.
        dropout: inside the blocks.
    """

    def __init__(self, width: int = 256, events: int = 11, emotions: int = 7, dropout: float = 0.15) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.2)
        self.project = nn.Linear(_LAYERS * _LAYER_WIDTH, width)
        self.relative = nn.Linear(width, width)
        self.blocks = nn.ModuleList(_Block(width, _KERNEL_FRAMES, dilation, dropout) for dilation in _DILATIONS)
        self.norm = nn.LayerNorm(width)
        self.heads = nn.ModuleDict(
            {
                "events": nn.Linear(width, events),
                "delivery": nn.Linear(width, 2),
                "emotion": nn.Linear(width, emotions),
                "stammers": nn.Linear(width, 1),
                "stress": nn.Linear(width, 1),
            }
        )

    def forward(self, middle: Tensor, inside: Tensor) -> dict[str, Tensor]:
        """Logits of each head, shape (n, frames, classes).

        Args:
            middle: layers 2 to 4, shape (n, 3, frames, 512).
            inside: whether a frame is part of the recording, shape (n, frames).
        """
        x = functional.layer_norm(middle, (_LAYER_WIDTH,)).transpose(1, 2).flatten(2)
        x = self.project(self.dropout(x))
        mask = inside[..., None].to(x.dtype)
        mean = (x * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1.0)
        x = (x + self.relative(x - mean)) * mask
        for block in self.blocks:
            x = block(x) * mask
        x = self.norm(x)
        return {name: head(x) for name, head in self.heads.items()}
