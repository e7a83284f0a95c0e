"""Mistakes of memory order: arrays reshaped where they should be transposed."""

import numpy as np

from .changes import Call, Mistake

__all__ = ["of_orders"]

# Orders of an array's axes in memory.
_ORDERS = ("NCHW", "NHWC", "CNHW", "CHWN", "HWNC", "NCWH", "HWCN")


def of_orders(where: str, on: tuple[int, ...], calls: list[Call]) -> list[Mistake]:
    """Outputs and gradients that are reshaped where they should be transposed."""
    shapes = {k: calls[k - 1].z.shape for k in on}
    found, seen = [], set()
    for source in _ORDERS:
        for target in _ORDERS:
            orders = tuple(_order(source, target, shapes[k]).tobytes() for k in on)
            right = all(o == np.arange(np.prod(shapes[k])).tobytes()
                        for o, k in zip(orders, on, strict=True))  # fmt: skip
            if right or orders in seen:
                continue
            seen.add(orders)

            def misread(a, source=source, target=target):
                return a.ravel()[_order(source, target, a.shape)].reshape(a.shape)

            words = (
                f"its axes in the order {', '.join(source)} in memory, given the shape "
                f"{', '.join(target)} without moving them (reshape in place of transpose)"
            )
            conv = [("conv", k, lambda right, *a, m=misread: m(right(*a))) for k in on]
            for what, operations in (
                (f"dW {where} is computed from dz", ["into dw"]),
                (f"what goes back through the kernels {where} is computed from dz", ["into dx"]),
                (f"dW and what goes back {where} are computed from dz", ["into dw", "into dx"]),
            ):
                changes = [
                    (o, k, lambda right, dz, df, m=misread: m(dz)) for o in operations for k in on
                ]
                found.append(Mistake("order of dz", f"{what} with {words}", changes))
            text = f"the output of the convolution {where} has {words}, in the forward pass"
            found.append(Mistake("order of the output", text, conv))
    return found


def _order(source, target, shape):
    """Flat index that each value of an NCHW array comes from if its order is mistaken."""
    sizes = dict(zip("NCHW", shape, strict=True))
    places = np.arange(np.prod(shape)).reshape(shape)
    flat = places.transpose(["NCHW".index(axis) for axis in source]).ravel()
    taken = flat.reshape([sizes[axis] for axis in target])
    return taken.transpose([target.index(axis) for axis in "NCHW"]).ravel()
