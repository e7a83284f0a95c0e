"""How fast pysrcnn is, and against what: one short file a question, each run by ``python -m``.

`upscale`: the network on pictures, against inference engines. `quality`: how good each is in how
much time. `training`: one step, against PyTorch. `startup`: whole processes. `scaling`: time and
memory against the size of the picture.
`harness` is what they share, `limit` measures the most that the machine could do, `engines` holds
the competitors (``pip install ".[bench]"``; whichever are missing are left out).
"""
