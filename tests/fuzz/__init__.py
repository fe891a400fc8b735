"""Nonsense for every decoder: `targets` are the decoders, `mutate` makes the nonsense.

python -m tests.fuzz --minutes 10            all decoders, from the seed corpus on
python -m tests.fuzz.gateway --frames 50000  a whole running house, over its sockets
"""
