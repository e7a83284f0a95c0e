"""Operations on register tiles as LLVM instructions, for `tile` and `transforms`."""

import inspect
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from .vectors import FUSED, VECTOR_BYTES


class _Tile(types.Type):
    def __init__(self, dtype, rows, columns):
        self.dtype, self.rows, self.columns = dtype, rows, columns
        super().__init__(f"Tile({dtype}, {rows}, {columns})")

    @property
    def vector(self):
        element = {32: ir.FloatType(), 64: ir.DoubleType()}[self.dtype.bitwidth]
        return ir.VectorType(element, VECTOR_BYTES * 8 // self.dtype.bitwidth)


@register_model(_Tile)
class _TileModel(models.PrimitiveModel):
    def __init__(self, dmm, tile):
        super().__init__(dmm, tile, ir.ArrayType(tile.vector, tile.rows * tile.columns))


class _Emitter:
    """Writes LLVM instructions for one tile operation of rows x columns vectors."""

    def __init__(self, context, builder, signature, arguments, tile):
        self.builder = builder
        self.vector = tile.vector
        self.align = tile.dtype.bitwidth // 8
        self.rows, self.columns, self.lanes = tile.rows, tile.columns, tile.vector.count
        self.integers = ir.VectorType(ir.IntType(tile.dtype.bitwidth), self.lanes)
        self.arguments = [  # arrays as pointers to their first element, literals as Python's ints
            context.make_array(kind)(context, builder, value).data
            if isinstance(kind, types.Array)
            else getattr(kind, "literal_value", value)
            for kind, value in zip(signature.args, arguments, strict=True)
        ]

    def positions(self):
        return [(r, p) for r in range(self.rows) for p in range(self.columns)]

    def pointer(self, array, *offsets):
        """Pointer to an element of `array`; each offset is an int or a 64-bit value."""
        at = ir.Constant(ir.IntType(64), sum(o for o in offsets if isinstance(o, int)))
        for offset in offsets:
            if not isinstance(offset, int):
                at = self.builder.add(at, offset)
        return self.builder.gep(array, [at])

    def times(self, factor, value):
        if isinstance(value, int):
            return factor * value
        return self.builder.mul(ir.Constant(ir.IntType(64), factor), value)

    def load(self, array, *offsets):
        pointer = self.builder.bitcast(self.pointer(array, *offsets), self.vector.as_pointer())
        return self.builder.load(pointer, align=self.align)

    def store(self, vector, array, *offsets):
        pointer = self.builder.bitcast(self.pointer(array, *offsets), self.vector.as_pointer())
        self.builder.store(vector, pointer, align=self.align)

    def broadcast(self, array, *offsets):
        scalar = self.builder.load(self.pointer(array, *offsets))
        undefined = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), None)
        return self.builder.shuffle_vector(first, undefined, everywhere)

    def same(self, value):
        """Return a vector whose lanes all hold `value`."""
        kind = self.integers if isinstance(value, int) else self.vector
        return ir.Constant(kind, [value] * self.lanes)

    def multiply_add(self, a, b, c):
        """Emit a b + c, rounded once if the processor can.

        The fused instruction is explicit: if LLVM may contract a b + c, it does so in one copy of a
        function and not in another, and a process that compiles gets other bits than one that
        loads.
        """
        if not FUSED:
            return self.builder.fadd(self.builder.fmul(a, b), c)
        bits = 32 if self.vector.element == ir.FloatType() else 64
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        name = f"llvm.fma.v{self.lanes}f{bits}"
        fused = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(fused, [a, b, c])

    def get(self, tile, r, p):
        return self.builder.extract_value(tile, r * self.columns + p)

    def tile(self, vectors):
        """Return a tile of vectors given in the order of `positions`."""
        value = ir.Constant(ir.ArrayType(self.vector, len(vectors)), ir.Undefined)
        for i, vector in enumerate(vectors):
            value = self.builder.insert_value(value, vector, i)
        return value


def in_registers(emit, gives_tile=True, shape=None):
    """Replace a NumPy definition by the instructions that `emit` writes, unless JIT is off.

    An operation whose first argument is no tile makes one, of the rows and columns in its last two
    arguments. shape: function from the literal arguments to rows and columns of the result (columns
    None: as many as before), where these differ from those of the given tile.
    """

    def decorate(definition):
        if numba.config.DISABLE_JIT:
            return definition

        def typing(typing_context, *kinds):
            if isinstance(kinds[0], _Tile):
                tile = kinds[0]
                result = tile if gives_tile else types.void
                if shape is not None:
                    rows, columns = shape(*(kind.literal_value for kind in kinds[1:]))
                    result = _Tile(tile.dtype, rows, columns or tile.columns)
            else:
                array, *_, rows, columns = kinds
                tile = result = _Tile(array.dtype, rows.literal_value, columns.literal_value)

            def codegen(context, builder, signature, arguments):
                emitter = _Emitter(context, builder, signature, arguments, tile)
                value = emit(emitter, *emitter.arguments)
                return context.get_dummy_value() if value is None else value

            return result(*kinds), codegen

        typed: Any = typing  # Numba inspects its signature
        typed.__name__ = definition.__name__
        context = inspect.Parameter("typing_context", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        parameters = inspect.signature(definition).parameters.values()
        typed.__signature__ = inspect.Signature([context, *parameters])
        return intrinsic(prefer_literal=True)(typing)

    return decorate
