"""The design space of memories: what to encode, what to store, how to retrieve, how to manage; strategies by name.

One small file per strategy in ``encode``, ``store``, ``retrieve`` and ``manage``; ``registry.get`` finds them by name.
They work on plain arrays, so that a robot's keyframes, remembered experiences and a model's training data use the
same ones.
"""
