"""Work shared out among threads: by `share` where a task takes milliseconds, else by `in_threads`.

Either way the thread that calls does the work, and others help as they come to it, each taking the
next task when it is done with its last. So it waits for tasks that another has begun, never for
another to begin: where another program has the processor, one thread does it all. Numba's own
parallel loops divide the tasks beforehand, and their threads wait for each other busily: there a
step of training takes twenty times as long.

Compiled code runs without Python's lock, so Python's own threads do.
"""

import contextlib
import os
import threading
import time
from collections import deque

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .tile import compiled


def share(tasks, work):
    """Run work(iterator over tasks) in as many threads as Numba is set to use.

    Together the iterators give every task once: each thread takes the next one when it is done
    with its last.
    """
    pending = deque(tasks)

    def taken():
        while True:
            try:
                yield pending.popleft()
            except IndexError:
                return

    def run():
        try:
            work(taken())
        except BaseException as error:
            failed.append(error)

    failed, others = [], []
    try:
        for _ in range(min(numba.get_num_threads(), len(pending)) - 1):
            other = threading.Thread(target=run)
            with contextlib.suppress(RuntimeError):  # Python is ending, and may start none
                other.start()
                others.append(other)
        work(taken())
    finally:
        pending.clear()  # where this thread fails or is interrupted, the others stop soon
        for other in others:
            other.join()
    if failed:
        raise failed[0]


# --------------------------------------------------------------------------- many short tasks

# A loop of some 0.1 ms is over before a thread has been woken up, or has Python's lock. So those
# who help stay in compiled code from one loop to the next, and sleep when none comes for a while.
# They learn what to do from a few numbers, a "board", by atomic instructions:

GATE = 0  # OPEN while there are tasks, plus the number of those who help
HELPERS = 8  # how many may (each in a line of the cache of its own)
NEXT = 16  # the next task that nobody has taken
LOOP = 24  # the number of the loop
FAILED = 32  # whether memory has run out
BODY = 40  # where the code is, and from the next one on what it is called with
SIZE = 512

OPEN = 2**40
PATIENCE = 250_000  # looks at the gate, some 0.3 ms, before whoever waits goes to sleep
NAP = 1e-4  # seconds


def _pointer(context, builder, kind, board, at):
    return builder.gep(context.make_array(kind)(context, builder, board).data, [at])


@intrinsic
def _load(typing_context, board, at):
    def codegen(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments)
        return builder.load_atomic(pointer, "acquire", 8)

    return types.int64(board, types.int64), codegen


@intrinsic
def _add(typing_context, board, at, value):
    """board[at] += value: what was there before."""

    def codegen(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments[:2])
        return builder.atomic_rmw("add", pointer, arguments[2], "seq_cst")

    return types.int64(board, types.int64, types.int64), codegen


@intrinsic
def _exchange(typing_context, board, at, old, new):
    """board[at] = new if it is `old`: whether it was."""

    def codegen(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments[:2])
        result = builder.cmpxchg(pointer, *arguments[2:], "seq_cst", "seq_cst")
        return builder.extract_value(result, 1)

    return types.boolean(board, *(types.int64,) * 3), codegen


@intrinsic
def _write_body(typing_context, board, kernel, arguments):
    """Write on the board what `_call_body` calls: kernel(board, *arguments)."""
    kinds = (board, *arguments.types)
    called = kernel.get_call_type(typing_context, kinds, {})

    def codegen(context, builder, signature, values):
        compiled_kernel = kernel.dispatcher.get_compile_result(called)
        context.active_code_library.add_linking_library(compiled_kernel.library)
        given = [values[0], *(builder.extract_value(values[2], k) for k in range(len(kinds) - 1))]
        given = [
            context.cast(builder, value, kind, wanted)
            for value, kind, wanted in zip(given, kinds, called.args, strict=True)
        ]
        frame = ir.LiteralStructType([value.type for value in given])
        if context.get_abi_sizeof(frame) > 8 * (SIZE - BODY - 1):
            raise ValueError("the arguments of a kernel do not fit on the board")

        number = ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [number.as_pointer()])
        name = f"{builder.function.name}.body"
        body = ir.Function(builder.module, kind, name)
        body.linkage = "internal"
        inside = ir.IRBuilder(body.append_basic_block())
        at = inside.gep(body.args[0], [ir.Constant(number, BODY + 1)])
        whole = inside.load(inside.bitcast(at, frame.as_pointer()), align=8)
        parts = [inside.extract_value(whole, k) for k in range(len(given))]
        status, _ = context.call_internal_no_propagate(
            inside, compiled_kernel.fndesc, called, parts
        )
        failed = inside.gep(body.args[0], [ir.Constant(number, FAILED)])
        inside.atomic_rmw("or", failed, inside.zext(status.is_error, number), "monotonic")
        inside.ret_void()

        data = context.make_array(signature.args[0])(context, builder, values[0]).data
        builder.store(
            builder.ptrtoint(body, number), builder.gep(data, [ir.Constant(number, BODY)])
        )
        at = builder.bitcast(builder.gep(data, [ir.Constant(number, BODY + 1)]), frame.as_pointer())
        for k, value in enumerate(given):
            place = [ir.Constant(ir.IntType(32), n) for n in (0, k)]
            builder.store(value, builder.gep(at, place))
        return context.get_dummy_value()

    return types.void(board, kernel, arguments), codegen


@intrinsic
def _call_body(typing_context, board):
    def codegen(context, builder, signature, arguments):
        number = ir.IntType(64)
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        body = builder.load(builder.gep(data, [ir.Constant(number, BODY)]))
        kind = ir.FunctionType(ir.VoidType(), [number.as_pointer()])
        builder.call(builder.inttoptr(body, kind.as_pointer()), [data])
        return context.get_dummy_value()

    return types.void(board), codegen


@compiled(inner=True)
def take(board):
    """The number of the next task, which no other thread is given."""
    return _add(board, NEXT, 1)


@compiled(inner=True)
def fork(board, kernel, arguments):
    """Run kernel(board, *arguments) here and in those threads that come to help.

    When it returns, some may still be about their last task: see `in_threads`.
    """
    _write_body(board, kernel, arguments)
    board[NEXT] = 0
    board[LOOP] += 1
    _add(board, GATE, OPEN)
    _call_body(board)
    _add(board, GATE, -OPEN)
    for _ in range(PATIENCE):
        if _load(board, GATE) == 0:
            break


@compiled()
def _help(board):
    """Help with one loop after the other, until none comes for a while."""
    done, looks = -1, 0
    while looks < PATIENCE:
        looks += 1
        loop, gate = _load(board, LOOP), _load(board, GATE)
        free = gate >= OPEN and gate - OPEN < _load(board, HELPERS)
        if loop != done and free and _exchange(board, GATE, gate, gate + 1):
            _call_body(board)
            _add(board, GATE, -1)
            done, looks = loop, 0


if numba.config.DISABLE_JIT:  # a single thread

    def take(board):  # noqa: F811
        """The number of the next task."""
        board[NEXT] += 1
        return board[NEXT] - 1

    def fork(board, kernel, arguments):  # noqa: F811
        """Run kernel(board, *arguments)."""
        board[NEXT] = 0
        kernel(board, *arguments)


class _Helper(threading.Thread):
    """A thread that helps while there is work, and else sleeps until it is woken."""

    def __init__(self, board):
        super().__init__(name="pysrcnn", daemon=True)
        self.board, self.awake, self.ends = board, True, False
        self.sleep = threading.Lock()
        self.sleep.acquire()
        self.start()

    def run(self):
        """What the thread does."""
        while not self.ends:
            _help(self.board)
            self.awake = False
            if not self.ends:
                self.sleep.acquire()

    def wake(self):
        """Only for the one thread that holds the team."""
        if not self.awake:
            self.awake = True
            self.sleep.release()


class _Team:
    """A board and the threads that look at it; for one thread that calls at a time."""

    def __init__(self):
        self.board, self.helpers = np.zeros(SIZE, np.int64), []
        self.taken = threading.Lock()

    def wake(self, count):
        """Have so many help, from now on."""
        if count and not self.helpers:
            _help(self.board)  # compiles it
        with contextlib.suppress(RuntimeError):  # Python is ending, and may start none
            while len(self.helpers) < count:
                self.helpers.append(_Helper(self.board))
        self.board[HELPERS] = count
        for helper in self.helpers[:count]:
            helper.wake()

    def dismiss(self):
        """End the threads, as before a fork, which would leave them behind."""
        with self.taken:
            for helper in self.helpers:
                helper.ends = True
                helper.wake()
                helper.join()
            self.helpers.clear()


_team = _Team()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_team.dismiss, after_in_child=_team.__init__)


def in_threads(kernel, *arguments):
    """Run kernel(board, *arguments) in as many threads as Numba is set to use.

    The kernel is compiled and does nothing but to `fork` another one, which goes through its tasks
    by `take`. Where several threads call at once, one of them is helped.
    """
    helped = _team.taken.acquire(blocking=False)
    board = _team.board if helped else np.zeros(SIZE, np.int64)
    try:
        if helped and not numba.config.DISABLE_JIT:
            _team.wake(numba.get_num_threads() - 1)
        kernel(board, *arguments)
    finally:
        try:
            _wait(board)
        finally:
            if helped:
                _team.taken.release()


def _wait(board):
    """Until nobody is about the work any more; also where Ctrl-C comes, which is raised then."""
    interrupted = None
    while board[GATE]:
        try:
            time.sleep(NAP)
        except BaseException as error:
            interrupted = error
    failed, board[FAILED] = board[FAILED], 0
    if interrupted:
        raise interrupted
    if failed:
        raise MemoryError("no memory for a kernel's intermediate results")
