"""Published results of the networks' papers, compared with ours by `benchmarks.networks_page`.

PSNR in dB and, where published, SSIM of luminance on Set5. networks_page.md names the tables.
"""

from typing import NamedTuple

ABOUT = {
    "sc": "sparse coding, Yang et al. 2010: dictionaries of patches, no network that is trained",
    "9-1-5": "SRCNN, Dong et al. 2016: three layers",
    "9-3-5": "SRCNN with 3 × 3 in the middle layer",
    "9-5-5": "SRCNN with 5 × 5 in the middle layer, the best one of its paper",
    "9-1-5-rgb": "SRCNN for RGB",
    "espcn": "ESPCN, Shi et al. 2016: three layers, then a sub-pixel shuffle",
    "vdsr": "VDSR, Kim et al. 2016: 20 layers and a residual",
    "drcn": "DRCN, Kim et al. 2016: one layer again and again",
    "srresnet-s": "SRResNet, Ledig et al. 2017, made small: 8 residual blocks of 48 maps, with "
    "batch normalisation, for RGB",
    "srgan": "SRGAN, Ledig et al. 2017: an SRResNet that was trained against a discriminator",
    "edsr-s": "EDSR, Lim et al. 2017, made small: 8 residual blocks of 48 maps, on luminance",
    "edsr": "EDSR, Lim et al. 2017: 16 residual blocks of 64 maps, on luminance",
    "photo": "an EDSR as small as edsr-s, for RGB with noise and JPEG",
    "vespcn": "VESPCN, Caballero et al. 2017: three frames of a video, moved onto each other",
}


class Published(NamedTuple):
    """A network of a paper; `scores` maps scales to PSNR or (PSNR, SSIM)."""

    label: str
    weights: str
    trained: str
    scores: dict[int, float | tuple[float, float]]


# Our networks that are compared with each group of published ones.
KINDS = {
    "srcnn": ("9-1-5", "9-3-5", "9-5-5", "9-1-5-rgb"),
    "sc": ("sc",),
    "espcn": ("espcn",),
    "vdsr": ("vdsr",),
    "drcn": ("drcn",),
    "srresnet": ("srresnet-s",),
    "srgan": ("srgan",),
    "edsr": ("edsr-s", "edsr"),
    "photo": ("photo",),
}
# PSNR and SSIM of luminance on all frames of Vid4, by network and scale.
VIDEO = {("bicubic", 4): (23.82, 0.6548), ("vespcn", 4): (25.35, 0.7557)}
_IMAGENET = "395,909 pictures of ImageNet"
_DIV2K = "DIV2K, 800 pictures; 16 million crops"
PUBLISHED = {
    "srcnn": [
        Published("9-1-5", "8,129", "91 pictures", {2: 36.34, 3: 32.39, 4: 30.08}),
        Published("9-1-5", "8,129", _IMAGENET, {3: 32.52}),
        Published("9-3-5", "24,513", _IMAGENET, {3: 32.65}),
        Published(
            "9-5-5", "57,281", _IMAGENET,
            {2: (36.66, 0.9542), 3: (32.75, 0.9090), 4: (30.49, 0.8628)},
        ),
        Published("9-1-5, RGB", "20,099", "91 pictures", {3: 32.33}),
    ],
    "sc": [Published("sparse coding", "", "91 pictures", {3: 31.42})],
    "espcn": [
        Published("ESPCN", "22,729 at ×3", "91 pictures", {3: 32.55}),
        Published("ESPCN", "22,729 at ×3", "50,000 pictures of ImageNet", {3: 33.13, 4: 30.90}),
    ],
    "vdsr": [
        Published(
            "VDSR", "665,921", "291 pictures; 0.64 million crops",
            {2: (37.53, 0.9587), 3: (33.66, 0.9213), 4: (31.35, 0.8838)},
        ),
    ],
    "drcn": [
        Published(
            "DRCN", "1.8 million", "91 pictures, a network for each scale",
            {2: (37.63, 0.9588), 3: (33.82, 0.9226), 4: (31.53, 0.8854)},
        ),
    ],
    "srresnet": [
        Published(
            "SRResNet", "1.5 million", "350,000 pictures of ImageNet; 16 million crops",
            {4: (32.05, 0.9019)},
        ),
    ],
    "srgan": [
        Published(
            "SRGAN", "1.5 million", "the same; 3.2 million crops more", {4: (29.40, 0.8472)}
        ),
    ],
    "edsr": [
        Published(
            "EDSR-baseline", "1.4 to 1.6 million", _DIV2K,
            {2: (37.99, 0.9604), 3: (34.37, 0.9270), 4: (32.09, 0.8938)},
        ),
        Published(
            "EDSR", "41 to 44 million", _DIV2K,
            {2: (38.11, 0.9602), 3: (34.65, 0.9280), 4: (32.46, 0.8968)},
        ),
    ],
    "photo": [],
}  # fmt: skip
