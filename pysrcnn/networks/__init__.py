"""The networks, one per file, and `load`, which returns a trained one."""

from .chain import Chain
from .drcn import DRCN
from .edsr import EDSR
from .espcn import ESPCN
from .features import Features
from .loading import DEFAULT, TRAINED, files_of, load, load_features, shipped
from .network import LOSSES, Network
from .scales import LARGEST, other_scale, own_scale
from .sparse import SparseCoding
from .srcnn import SRCNN
from .srgan import Discriminator
from .srresnet import SRResNet
from .vdsr import VDSR
from .vespcn import VESPCN

__all__ = [
    "DEFAULT",
    "DRCN",
    "EDSR",
    "ESPCN",
    "LARGEST",
    "LOSSES",
    "SRCNN",
    "TRAINED",
    "VDSR",
    "VESPCN",
    "Chain",
    "Discriminator",
    "Features",
    "Network",
    "SRResNet",
    "SparseCoding",
    "files_of",
    "load",
    "load_features",
    "other_scale",
    "own_scale",
    "shipped",
]
