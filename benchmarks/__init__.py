"""Benchmarks of pysrcnn: one short file per question, each run by ``python -m``.

`upscale`: networks on pictures, against inference engines. `quality`: PSNR against time of each
network. `training`: one step, against PyTorch. `startup`: whole processes. `scaling`: time and
memory against the size of the picture.
`harness` holds what they share, `limit` measures the peak performance of the machine, and `engines`
holds the competitors (``pip install ".[bench]"``; missing ones are left out).
"""
