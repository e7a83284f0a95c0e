"""Operations of deep networks composed of basic ones, for ops modules that do not compute."""

from typing import Any

__all__ = ["Composed"]


class Composed:
    """Operations composed of `conv2d`, `relu` and their backward passes, as in `reference`."""

    conv2d: Any
    conv2d_backward: Any
    relu: Any
    relu_backward: Any

    def enter(self, x: Any) -> Any:
        """See `reference.enter`."""
        return x

    def leave(self, x: Any) -> Any:
        """See `reference.leave`."""
        return x

    def conv2d_same(self, x: Any, w: Any, b: Any, summand: Any = None) -> Any:
        """See `reference.conv2d_same`."""
        out = self.conv2d(x, w, b, "zeros")
        return out if summand is None else out + summand

    def conv2d_same_backward(self, dout: Any, x: Any, w: Any) -> Any:
        """See `reference.conv2d_same_backward`."""
        return self.conv2d_backward(dout, x, w, "zeros")

    def conv_relu(self, x: Any, w: Any, b: Any) -> Any:
        """See `reference.conv_relu`."""
        return self.relu(self.conv2d(x, w, b, "zeros"))

    def conv_relu_backward(self, dout: Any, out: Any, x: Any, w: Any) -> Any:
        """See `reference.conv_relu_backward`."""
        return self.conv2d_backward(self.relu_backward(dout, out), x, w, "zeros")
