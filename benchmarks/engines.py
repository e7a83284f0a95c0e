"""The competitors: inference engines and PyTorch's training, with our weights and our padding.

Every engine pads every layer as ours does, by repeating the edge for SRCNN and ESPCN and with zeros
for VDSR, so that all of them compute the same function. All are optional; `installed` says which
are not there. They are imported where they are used, so that a benchmark can do without any of
them.
"""

import functools
import importlib.util
import io
from collections.abc import Callable

import numpy as np

PACKAGES = ("torch", "onnx", "onnxruntime", "openvino")
Layers = list[tuple[np.ndarray, np.ndarray]]


@functools.cache  # so that it says so once
def installed() -> tuple[str, ...]:
    """The packages among `PACKAGES` that are there; prints which are not."""
    have = tuple(name for name in PACKAGES if importlib.util.find_spec(name))
    if missing := [name for name in PACKAGES if name not in have]:
        print(f'not installed: {", ".join(missing)} (pip install ".[bench]" has all of them)')
    return have


def pictures(
    layers: Layers, shape: tuple, threads: int, shuffle: int = 1, *, residual: bool = False
) -> dict[str, tuple[Callable, bool]]:
    """The network on a picture of that shape (1, C, H, W): {name: (array -> array, float32?)}.

    shuffle: s of a sub-pixel shuffle at the end, as ESPCN's; 1 for none.
    residual: whether it pads with zeros and adds its input to the result, as VDSR.

    All hand over arrays without copying them, and know the shape when they are prepared.
    """
    have = installed()
    engines = {}
    if "torch" in have:
        for layout in ("NCHW", "channels_last"):
            engines[f"PyTorch {layout}"] = (
                _pytorch(layers, threads, layout, shuffle, residual),
                True,
            )
    if "onnx" in have:
        model = _onnx_model(layers, shape, shuffle, residual)
        if "onnxruntime" in have:
            engines["ONNX Runtime"] = _onnxruntime(model, threads), True
        if "openvino" in have:
            engines["OpenVINO, float32"] = _openvino(model, threads, "f32")[0], True
            run, precision = _openvino(model, threads, None)
            engines[f"OpenVINO, {precision} (default)"] = run, precision == "f32"
    return engines


# ---------------------------------------------------------------------------------------- PyTorch


def _pytorch(layers: Layers, threads: int, layout: str, shuffle: int, residual: bool) -> Callable:
    import torch
    from torch.nn import functional

    torch.set_num_threads(threads)
    form = _memory_format(layout)
    tensors = [(torch.from_numpy(w).to(memory_format=form), torch.from_numpy(b)) for w, b in layers]

    def run(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            maps = torch.from_numpy(x).to(memory_format=form)
            for k, (w, b) in enumerate(tensors):
                p = w.shape[2] // 2
                if p and not residual:
                    maps = functional.pad(maps, (p, p, p, p), mode="replicate")
                maps = functional.conv2d(maps, w, b, padding=p if residual else 0)
                if k < len(tensors) - 1:
                    maps = maps.relu_()
            if shuffle > 1:
                maps = functional.pixel_shuffle(maps, shuffle)
            if residual:
                maps = maps + torch.from_numpy(x)
            return maps.numpy()

    return run


def _memory_format(layout: str):
    import torch

    return {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}[layout]


class PyTorchTraining:
    """A network, its loss and SGD with momentum in PyTorch, on one batch.

    Parameters
    ----------
    parameters : dict of arrays W1, B1, W2, ..., copied
    low, high : arrays (N, C, H, W) and smaller, as `SRCNN.loss_and_gradients` takes them
    rate : learning rate, of all parameters
    residual : whether it pads with zeros and adds its input to the result, as VDSR
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
        # "fused" updates all parameters in one go: the quickest PyTorch has.
        self.optimizer = torch.optim.SGD(
            self.parameters.values(), lr=rate, momentum=0.9, fused=True
        )

    def gradients(self) -> list[np.ndarray]:
        """Forward and backward; the gradients in the order of the parameters."""
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
        """Forward, backward, and the update."""
        self.gradients()
        self.optimizer.step()


# ---------------------------------------------------------------------- ONNX Runtime and OpenVINO


def _onnx_model(layers: Layers, shape: tuple, shuffle: int, residual: bool) -> bytes:
    from onnx import TensorProto, checker, helper, numpy_helper

    nodes, constants, last = [], [], "x"
    for k, (w, b) in enumerate(layers):
        constants += [numpy_helper.from_array(w, f"w{k}"), numpy_helper.from_array(b, f"b{k}")]
        p = w.shape[2] // 2
        if p and not residual:
            pads = np.array([0, 0, p, p, 0, 0, p, p], np.int64)
            constants.append(numpy_helper.from_array(pads, f"pads{k}"))
            nodes.append(helper.make_node("Pad", [last, f"pads{k}"], [f"p{k}"], mode="edge"))
            last = f"p{k}"
        inputs, around = [last, f"w{k}", f"b{k}"], [p] * 4 if residual else [0] * 4
        nodes.append(helper.make_node("Conv", inputs, [f"c{k}"], pads=around))
        last = f"c{k}"
        if k < len(layers) - 1:
            nodes.append(helper.make_node("Relu", [last], [f"r{k}"]))
            last = f"r{k}"
    if shuffle > 1:
        options = {"blocksize": shuffle, "mode": "CRD"}
        nodes.append(helper.make_node("DepthToSpace", [last], ["large"], **options))
        last = "large"
    if residual:
        nodes.append(helper.make_node("Add", [last, "x"], ["sum"]))
        last = "sum"
    large = (*shape[:2], *(shuffle * n for n in shape[2:]))
    x, out = (
        helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
        for n, s in (("x", shape), (last, large))
    )
    graph = helper.make_graph(nodes, "srcnn", [x], [out], constants)
    # Versions that engines of several years read.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    checker.check_model(model)
    return model.SerializeToString()


def _onnxruntime(model: bytes, threads: int) -> Callable:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"x": x})[0]


def _openvino(model: bytes, threads: int, precision: str | None) -> tuple[Callable, str]:
    """(run, the precision it computes in): the one forced, or OpenVINO's own choice."""
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
