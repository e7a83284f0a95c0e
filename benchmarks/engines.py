"""The competitors: inference engines and training in PyTorch, with our weights and our padding.

PyTorch runs the networks' own `forward` with its operations, and the others run the graph that
`Network.save` writes, so that all compute the same function, edges included. All are optional and
imported only where they are used; `installed` says which are missing.
"""

import functools
import importlib.util
import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pysrcnn.networks import Network

PACKAGES = ("torch", "onnx", "onnxruntime", "openvino")


@functools.cache  # prints only once
def installed() -> tuple[str, ...]:
    """Return the installed packages among `PACKAGES`, and print the missing ones."""
    have = tuple(name for name in PACKAGES if importlib.util.find_spec(name))
    if missing := [name for name in PACKAGES if name not in have]:
        print(f'not installed: {", ".join(missing)} (pip install ".[bench]" has all of them)')
    return have


def pictures(network: Network, shape: tuple, threads: int) -> dict[str, tuple[Callable, bool]]:
    """Prepare the network in each engine: {name: (array -> array, whether it computes in float32)}.

    All are prepared for pictures of shape (1, c, H, W), and pass arrays without copying them.
    """
    have = installed()
    engines = {name: (run, True) for name, run in pytorch(network, threads).items()}
    if "onnx" in have:
        model = _onnx_model(network, shape)
        if "onnxruntime" in have:
            engines["ONNX Runtime"] = _onnxruntime(model, threads), True
        if "openvino" in have:
            engines["OpenVINO, float32"] = _openvino(model, threads, "f32")[0], True
            run, precision = _openvino(model, threads, None)
            engines[f"OpenVINO, {precision} (default)"] = run, precision == "f32"
    return engines


# ---------------------------------------------------------------------------------------- PyTorch


def pytorch(network: Network, threads: int) -> dict[str, Callable]:
    """Prepare the network in PyTorch, in both layouts of memory; nothing if it is missing."""
    layouts = ("NCHW", "channels_last") if "torch" in installed() else ()
    return {f"PyTorch {layout}": _pytorch(network, threads, layout) for layout in layouts}


def _pytorch(network: Network, threads: int, layout: str) -> Callable:
    import torch

    from .torch_ops import Torch

    torch.set_num_threads(threads)
    form = _memory_format(layout)
    tensors = {name: torch.from_numpy(p) for name, p in network.parameters.items()}
    tensors = {n: t.to(memory_format=form) if t.ndim == 4 else t for n, t in tensors.items()}
    ops = Torch()

    def run(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            maps = torch.from_numpy(x).to(memory_format=form)
            return network._forward(maps, tensors, ops, None, **network.options).numpy()

    return run


def _memory_format(layout: str):
    import torch

    return {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}[layout]


class PyTorchTraining:
    """A network, its loss and SGD with momentum in PyTorch, on one batch.

    Parameters
    ----------
    parameters : dict of arrays W1, B1, W2, ..., copied
    low, high : arrays (N, C, H, W), high maybe smaller, as `SRCNN.loss_and_gradients` takes them
    rate : learning rate of all parameters
    residual : whether it pads with zeros and adds its input to the result, like VDSR
    """

    def __init__(
        self, parameters, low, high, rate: float, threads: int, layout: str, *, residual=False
    ):
        import torch

        torch.set_num_threads(threads)
        form = _memory_format(layout)
        self.residual = residual
        self.parameters = {}
        for name, array in parameters.items():
            tensor = torch.from_numpy(array.copy())
            if tensor.ndim == 4:
                tensor = tensor.to(memory_format=form)
            self.parameters[name] = tensor.requires_grad_()
        self.low, self.high = (torch.from_numpy(a).to(memory_format=form) for a in (low, high))
        # "fused" updates all parameters at once, PyTorch's fastest way.
        self.optimizer = torch.optim.SGD(
            self.parameters.values(), lr=rate, momentum=0.9, fused=True
        )

    def gradients(self) -> list[np.ndarray]:
        """Run forward and backward; return the gradients in the order of the parameters."""
        from torch.nn import functional

        self.optimizer.zero_grad(set_to_none=True)
        maps, layers = self.low, len(self.parameters) // 2
        for k in range(1, layers + 1):
            w, b = self.parameters[f"W{k}"], self.parameters[f"B{k}"]
            maps = functional.conv2d(maps, w, b, padding=w.shape[2] // 2 if self.residual else 0)
            if k < layers:
                maps = functional.relu(maps, inplace=True)
        if self.residual:
            maps = maps + self.low
        functional.mse_loss(maps, self.high).backward()
        return [p.grad.numpy() for p in self.parameters.values()]

    def step(self) -> None:
        """Run forward, backward and the update."""
        self.gradients()
        self.optimizer.step()


# ---------------------------------------------------------------------- ONNX Runtime and OpenVINO


def _onnx_model(network: Network, shape: tuple) -> bytes:
    """Return the graph that `Network.save` writes, with the shape of pictures fixed."""
    import onnx

    with tempfile.TemporaryDirectory() as folder:
        network.save(Path(folder) / "network.onnx")
        model = onnx.load(Path(folder) / "network.onnx")
    s = network.seen.resolution
    large = (*shape[:2], *(s * side for side in shape[2:]))
    for value, sides in ((model.graph.input[0], shape), (model.graph.output[0], large)):
        for axis, side in zip(value.type.tensor_type.shape.dim, sides, strict=True):
            axis.dim_value = side
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _onnxruntime(model: bytes, threads: int) -> Callable:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"low": x})[0]


def _openvino(model: bytes, threads: int, precision: str | None) -> tuple[Callable, str]:
    """Return (run, its precision); OpenVINO chooses the precision if it is None."""
    import openvino

    config = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
    if precision:
        config["INFERENCE_PRECISION_HINT"] = precision
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(io.BytesIO(model)), "CPU", config)
    request = compiled.create_infer_request()

    def run(x: np.ndarray) -> np.ndarray:
        return request.infer({0: x}, share_inputs=True, share_outputs=True)[0]

    chosen = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    return run, chosen
