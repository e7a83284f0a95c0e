"""Gradient descent: SGD with momentum (Eq. 5 of the paper), Adam, and Muon.

An optimiser holds the parameters it updates and its memory of past gradients. `step` takes the
gradients and changes the parameters in place; `state` returns a flat dict of arrays (views, not
copies) that a checkpoint can store and `load_state` takes back.
"""

from collections.abc import Collection

import numpy as np

__all__ = ["OPTIMIZERS", "SGD", "Adam", "Muon", "Optimizer", "orthogonalised"]

Arrays = dict[str, np.ndarray]


class Optimizer:
    """The base of all optimisers: parameters, learning rates, and memories in the same shapes."""

    memories: tuple[str, ...] = ()

    def __init__(self, parameters: Arrays, learning_rate: float | dict[str, float]):
        self.parameters = parameters
        if not isinstance(learning_rate, dict):
            learning_rate = dict.fromkeys(parameters, learning_rate)
        if learning_rate.keys() != parameters.keys():
            raise ValueError(
                f"learning rates are given for {sorted(learning_rate)}, "
                f"the parameters are {sorted(parameters)}: give one for each"
            )
        self.learning_rate = learning_rate
        self.steps = 0
        self._memory = {
            memory: {name: np.zeros_like(p) for name, p in parameters.items()}
            for memory in self.memories
        }

    def state(self) -> Arrays:
        """Return the number of steps and the memories as a flat dict of arrays."""
        state = {
            f"{memory}.{name}": array
            for memory, arrays in self._memory.items()
            for name, array in arrays.items()
        }
        return {"steps": np.array(self.steps), **state}

    def load_state(self, state: Arrays) -> None:
        """Restore what `state` returned.

        Raises
        ------
        ValueError
            If it is the state of another optimiser, or of other parameters.
        """
        own = self.state()
        if {n: np.shape(a) for n, a in state.items()} != {n: a.shape for n, a in own.items()}:
            raise ValueError(
                f"the state holds {sorted(state)}, wanted {sorted(own)} in the shapes of the "
                f"parameters: it belongs to another optimiser or network"
            )
        self.steps = int(state["steps"])
        for memory, arrays in self._memory.items():
            for name, array in arrays.items():
                array[...] = state[f"{memory}.{name}"]


class SGD(Optimizer):
    """Stochastic gradient descent with momentum and a learning rate for every parameter.

    Eq. 5: Delta <- momentum * Delta - learning_rate * dL/dW;  W <- W + Delta.

    With high learning rates, deep networks occasionally take steps that are too large. VDSR (Kim,
    Lee, Lee, CVPR 2016, Section 3.2) clips each gradient to -theta/rate..theta/rate, which limits
    how far it moves a value, to the same distance when the rate has fallen.

    Parameters
    ----------
    parameters : dict of arrays, updated in place
    learning_rate : float or dict of float
        One for all parameters, or one for each by name. It depends on the normalisation of the
        loss; in this package, that is the mean over all elements (`reference.mse`).
    momentum : float
    clip : float
        theta; 0 for no limit.
    weight_decay : float
        Half of this, times the sum of the squares of all weights, is added to the loss. Biases,
        which have one dimension, do not decay.
    """

    memories = ("velocity",)

    def __init__(
        self,
        parameters: Arrays,
        learning_rate: float | dict[str, float],
        momentum: float = 0.9,
        clip: float = 0.0,
        weight_decay: float = 0.0,
    ):
        super().__init__(parameters, learning_rate)
        self.momentum, self.clip, self.weight_decay = momentum, clip, weight_decay

    def step(self, gradients: Arrays, factor: float = 1.0) -> None:
        """Update the parameters once; `factor` scales all learning rates (a schedule)."""
        self.steps += 1
        for name, parameter in self.parameters.items():
            velocity, gradient = self._memory["velocity"][name], gradients[name]
            rate = factor * self.learning_rate[name]
            if self.weight_decay and parameter.ndim > 1:
                gradient = gradient + self.weight_decay * parameter
            if self.clip and rate > 0:
                gradient = np.clip(gradient, -self.clip / rate, self.clip / rate)
            velocity *= self.momentum
            velocity -= rate * gradient
            parameter += velocity


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015, Algorithm 1), with bias correction.

    Parameters
    ----------
    parameters : dict of arrays, updated in place
    learning_rate : float or dict of float
    beta1, beta2 : float
        Decay of the running means of the gradient and of its square.
    epsilon : float
    """

    memories = ("mean", "square")

    def __init__(
        self,
        parameters: Arrays,
        learning_rate: float | dict[str, float],
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
    ):
        super().__init__(parameters, learning_rate)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon

    def step(self, gradients: Arrays, factor: float = 1.0) -> None:
        """Update the parameters once; `factor` scales all learning rates (a schedule)."""
        self.steps += 1
        for name in self.parameters:
            self._move(name, gradients[name], factor * self.learning_rate[name])

    def _move(self, name: str, gradient: np.ndarray, rate: float) -> None:
        mean, square = self._memory["mean"][name], self._memory["square"][name]
        mean += (1 - self.beta1) * (gradient - mean)
        square += (1 - self.beta2) * (gradient * gradient - square)
        denominator = np.sqrt(square / (1 - self.beta2**self.steps)) + self.epsilon
        self.parameters[name] -= rate * (mean / (1 - self.beta1**self.steps)) / denominator


class Muon(Adam):
    """Muon (Jordan et al., 2024) for weights, Adam for parameters of one dimension.

    Adam gives every weight a step of about the same size. Muon gives one to every *direction*: the
    running mean of the gradient, as a matrix with a filter in each row, is replaced by one with the
    same singular vectors and nearly equal singular values. Directions in which the gradient is
    small, and which only matter once the others are right, are then learned at the same pace.

    Parameters
    ----------
    parameters : dict of arrays, updated in place
        Those of more than one dimension are weights.
    learning_rate : float or dict of float
        For orthogonalised steps, about ten times a rate that suits Adam.
    momentum : float
        Decay of the running mean, which is applied once more to the step (Nesterov momentum).
    by_adam : collection of str
        Names of weights that Adam updates too, usually those of the last layer.
    """

    def __init__(
        self,
        parameters: Arrays,
        learning_rate: float | dict[str, float],
        momentum: float = 0.95,
        by_adam: Collection[str] = (),
    ):
        super().__init__(parameters, learning_rate)
        self.momentum = momentum
        self.orthogonal = [n for n, p in parameters.items() if p.ndim > 1 and n not in by_adam]
        for name in self.orthogonal:
            del self._memory["square"][name]

    def _move(self, name: str, gradient: np.ndarray, rate: float) -> None:
        if name not in self.orthogonal:
            super()._move(name, gradient, rate)
            return
        mean = self._memory["mean"][name]
        mean += (1 - self.momentum) * (gradient - mean)
        ahead = mean + (1 - self.momentum) * (gradient - mean)
        step = orthogonalised(ahead.reshape(len(ahead), -1)).reshape(ahead.shape)
        # If there are more filters than weights in each, they share the directions.
        scale = max(1.0, len(step) / step[0].size) ** 0.5
        self.parameters[name] -= rate * scale * step


def orthogonalised(matrix: np.ndarray, iterations: int = 5) -> np.ndarray:
    """Return nearly U V^T, for a matrix whose singular value decomposition is U S V^T.

    A Newton-Schulz iteration, X <- (a + b S + c S^2) X with S = X X^T. Jordan's coefficients bring
    all singular values between about 1/500 of the norm and the norm to 0.7 .. 1.2 within five
    iterations; they do not converge to 1, which training does not need. The product of the factors
    of all iterations is computed first, from S alone, which is small, and X is multiplied once.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    # Divided by the largest value first, or the squares of tiny ones would underflow.
    largest = np.abs(matrix).max()
    if largest == 0:  # as for a layer whose filters are all silent
        return np.zeros_like(matrix)
    x = matrix / largest
    x /= np.linalg.norm(x)
    if x.shape[0] > x.shape[1]:
        return orthogonalised(matrix.T, iterations).T
    # In parts too small for OpenBLAS to wake its threads, which would then compete with those of
    # the kernels: a step of training took four times as long.
    parts = np.array_split(x, 1 + len(x) * x.size // 2**18, axis=1)
    square = sum(part @ part.T.copy() for part in parts)
    one = product = np.eye(len(x), dtype=x.dtype)
    for _ in range(iterations):
        factor = a * one + b * square + c * (square @ square)
        product = factor @ product
        square = factor @ square @ factor
    return np.concatenate([product @ part for part in parts], axis=1)


OPTIMIZERS = {"sgd": SGD, "adam": Adam, "muon": Muon}
