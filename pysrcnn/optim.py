"""Gradient descent: SGD with momentum (Eq. 5 of the paper) and Adam.

An optimiser holds the parameters it moves and whatever it remembers of past gradients. `step`
takes the gradients and changes the parameters in place; `state` is a flat dict of arrays (views,
not copies) that a checkpoint can store and `load_state` takes back.
"""

import numpy as np

__all__ = ["SGD", "Adam"]

Arrays = dict[str, np.ndarray]


class _Optimizer:
    """Parameters, a learning rate for each of them, and named memories of their shapes."""

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
        """Everything but the parameters, as a flat dict of arrays."""
        state = {
            f"{memory}.{name}": array
            for memory, arrays in self._memory.items()
            for name, array in arrays.items()
        }
        return {"steps": np.array(self.steps), **state}

    def load_state(self, state: Arrays) -> None:
        """Go on from what `state` returned.

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


class SGD(_Optimizer):
    """Stochastic gradient descent with momentum, a learning rate for every parameter.

    Eq. 5: Delta <- momentum * Delta - learning_rate * dL/dW;  W <- W + Delta.

    Parameters
    ----------
    parameters : dict of arrays, moved in place
    learning_rate : float or dict of float
        One for all parameters, or one for each by name. It belongs to a normalisation of the
        loss; that of this package is the mean over all elements (`reference.mse`).
    momentum : float
    """

    memories = ("velocity",)

    def __init__(
        self, parameters: Arrays, learning_rate: float | dict[str, float], momentum: float = 0.9
    ):
        super().__init__(parameters, learning_rate)
        self.momentum = momentum

    def step(self, gradients: Arrays, factor: float = 1.0) -> None:
        """Move the parameters once; `factor` scales all learning rates (a schedule)."""
        self.steps += 1
        for name, parameter in self.parameters.items():
            velocity = self._memory["velocity"][name]
            velocity *= self.momentum
            velocity -= factor * self.learning_rate[name] * gradients[name]
            parameter += velocity


class Adam(_Optimizer):
    """Adam (Kingma and Ba, 2015, Algorithm 1), with bias correction.

    Parameters
    ----------
    parameters : dict of arrays, moved in place
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
        """Move the parameters once; `factor` scales all learning rates (a schedule)."""
        self.steps += 1
        correct_mean = 1 - self.beta1**self.steps
        correct_square = 1 - self.beta2**self.steps
        for name, parameter in self.parameters.items():
            gradient = gradients[name]
            mean, square = self._memory["mean"][name], self._memory["square"][name]
            mean += (1 - self.beta1) * (gradient - mean)
            square += (1 - self.beta2) * (gradient * gradient - square)
            denominator = np.sqrt(square / correct_square) + self.epsilon
            parameter -= factor * self.learning_rate[name] * (mean / correct_mean) / denominator
